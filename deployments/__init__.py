"""Brings the parts up, and creates and updates the Prefect deployments."""
