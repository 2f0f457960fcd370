"""Runs on the user's machine: start jobs, watch them, promote the models they trained."""
