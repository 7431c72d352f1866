"""Checks of everything that a system stands on.   satdaemon doctor

One module a group of checks; GROUPS in `examine.py` lists them. A check is a function that yields findings.
"""
