"""`satdaemon check-consistency`: the database against the file system."""
