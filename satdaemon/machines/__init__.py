"""PROC_MACHINES as a Dask cluster: the scheduler, one worker process a machine, and the processes that stay up.

Nothing is imported here: `tether` is on the way of every process that is started and has to be quick.
"""
