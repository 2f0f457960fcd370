"""How good a model is on labelled images, also one that a stranger made."""
