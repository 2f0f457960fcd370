"""What becomes of what is in the inbox, while it happens, in the words of `./sortbox status`."""
