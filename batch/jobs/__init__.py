"""Transform jobs: requests, progress, outputs, and the limit on concurrent jobs."""
