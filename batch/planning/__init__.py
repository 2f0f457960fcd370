"""Which images have no answer yet, in bounded slices."""
