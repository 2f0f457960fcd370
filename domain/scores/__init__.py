"""What the scores of many answers say together."""
