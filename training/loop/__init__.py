"""The training loop: state, optimizer, steps, checkpoints, and heads trained side by side."""
