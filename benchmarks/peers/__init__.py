"""The servers that ours is measured against, each as its own documentation shows it.

They run in .local/bench-venv. ARCHIVE names the unpacked model archive, PORT where to listen.
"""
