"""Access control of the local cloud: signatures, keys and the guard."""
