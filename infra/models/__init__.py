"""Which model answers: registry, endpoint, activation, rollback."""
