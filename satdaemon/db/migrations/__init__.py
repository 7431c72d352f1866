"""Schema changes, run by satdaemon.db.initialise."""
