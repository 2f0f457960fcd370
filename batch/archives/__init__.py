"""Unpack an archive of the inbox: readers of zip and tar, names of members, state, and steps."""
