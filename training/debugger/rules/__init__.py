"""The debugger's rules: what a loss, a gradient or a weight tells of a training run."""
