"""The client of the real-time endpoint, and what its errors say about an image."""
