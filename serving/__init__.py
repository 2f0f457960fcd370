"""The container's `serve`: one server for the endpoint and for Batch Transform."""
