"""Inspect a stage: status, doctor, cost and logs."""
