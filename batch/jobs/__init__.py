"""Transform jobs: requests, progress, outputs, and the bound on how many run at once."""
