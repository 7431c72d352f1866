"""Benches: ratios within one run, never times alone."""
