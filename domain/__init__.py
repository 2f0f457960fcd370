"""The vocabulary of Sortbox: standard library only; no input or output, clock or environment."""
