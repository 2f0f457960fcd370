"""Hyperparameters, the search space, names and errors of training. No torch."""
