"""Prefect tasks, one module a stage: what the stage needs, its name. A job is one task run."""
