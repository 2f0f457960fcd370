"""Who may speak to the local cloud: signatures, keys and the guard."""
