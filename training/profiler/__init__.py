"""Where a step's time goes, and the profiler report."""
