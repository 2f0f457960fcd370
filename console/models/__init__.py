"""Which model answers: its history, its candidates, and bringing answers up to date."""
