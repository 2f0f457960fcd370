"""What can be found out about a stage: status, doctor, cost, logs."""
