"""SatDaemon: deployments."""
