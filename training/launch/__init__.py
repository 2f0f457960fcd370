"""What runs on a person's machine: start jobs, watch them, promote what they trained."""
