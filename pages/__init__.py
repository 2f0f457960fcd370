"""HTML of every report: one look, one set of templates in which every value is escaped."""
