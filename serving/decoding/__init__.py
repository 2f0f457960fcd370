"""Decode untrusted image files to upright RGB images, with limited work, or reject them."""
