"""What a data set holds that a model should not learn from, found before it is trained."""
