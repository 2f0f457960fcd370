"""Find the images without a current result, in slices of limited size."""
