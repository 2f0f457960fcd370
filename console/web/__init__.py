"""What all pages of the console share: who may use them, how they look, and live events."""
