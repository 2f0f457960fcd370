"""Install what the commands need: Python environments and Node."""
