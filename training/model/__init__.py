"""Networks: where they come from, and how they are packed, compiled and quantised."""
