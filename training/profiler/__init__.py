"""Measures where the time of a step goes, and writes the profiler report."""
