"""Engines: from a batch of cropped pixels to probabilities."""
