"""Evaluates models on labelled images, untrusted archives included."""
