"""`satdaemon frames ...`: frames and bursts for a map."""
