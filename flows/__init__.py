"""Prefect flows: one frame's chain (`frame`, read first), the planner, maintenance."""
