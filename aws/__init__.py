"""AWS calls that several packages share, and the meaning of AWS's errors."""
