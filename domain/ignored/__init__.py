"""Files that are nobody's image: the list of their names, and the reason for one name."""
