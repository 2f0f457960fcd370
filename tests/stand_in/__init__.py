"""A model container that starts at once: SageMaker's contract, labels computed from the bytes."""
