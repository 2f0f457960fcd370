"""The model that answers: registry, endpoint, activation and rollback."""
