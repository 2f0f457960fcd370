"""Models, endpoint configurations, endpoints and their variants."""
