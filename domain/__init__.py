"""The vocabulary of Sortbox: standard library only; no input or output, no clock, no environment."""
