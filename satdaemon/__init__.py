"""SatDaemon: automatic Sentinel-1 InSAR production."""

__version__ = "0.1.0"
