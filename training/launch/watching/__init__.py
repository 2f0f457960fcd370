"""Watching jobs and searches to their end, whatever AWS does meanwhile."""
