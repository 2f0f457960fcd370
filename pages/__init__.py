"""HTML of all reports: one style sheet, and templates that escape every value."""
