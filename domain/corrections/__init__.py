"""What people say that images show."""
