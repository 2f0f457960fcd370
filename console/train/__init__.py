"""Training and tuning: a form, the jobs, and their curves while they run."""
