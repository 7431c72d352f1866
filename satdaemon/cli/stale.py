"""`satdaemon stale`: what was made from inputs that have changed since."""
