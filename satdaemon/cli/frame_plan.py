"""`satdaemon frame plan|...`: dates, network and master of a frame."""
