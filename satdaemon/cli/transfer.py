"""`satdaemon db ...`: dump, restore and copy of a database."""
