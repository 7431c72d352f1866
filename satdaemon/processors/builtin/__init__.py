"""The open default processors, one file a stage."""
