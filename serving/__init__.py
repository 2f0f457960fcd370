"""The container's `serve`: one HTTP server for real-time endpoints and for Batch Transform."""
