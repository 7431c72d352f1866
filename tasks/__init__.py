"""SatDaemon: tasks."""
