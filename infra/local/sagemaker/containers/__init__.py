"""Containers as processes, their images, and the files they receive."""
