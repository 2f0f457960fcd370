"""What every kind of resource shares: operations, shapes, errors, listing, tags, events."""
