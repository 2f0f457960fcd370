"""Dropping images into the inbox from a page: single files, folders, archives."""
