"""SatDaemon: flows."""
