"""What the emulator knows, kept on disk so that it survives the end of any process."""

SAVE_PATH = "/_sortbox/save"
"""A request to this path makes the emulator save its state at once."""
