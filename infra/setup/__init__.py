"""What the commands need before there is anything: Python, environments, Node."""
