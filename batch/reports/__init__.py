"""Reports on a folder and on a reclassification."""
