"""What the emulator knows, kept on disk so that it survives the end of any process."""
