"""Correct: what people say that images show, stored at once, listed, and taken back."""
