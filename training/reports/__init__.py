"""The training report, the report of a search, and the model card."""
