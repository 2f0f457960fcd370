"""What all kinds of resources share: operations, shapes, errors, listing, tags, events."""
