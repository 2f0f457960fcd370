"""Operation: queues, dead letters, alarms, jobs, the endpoint, and what a month costs."""
