"""The folder's road: which images have no answer yet, which jobs and pages answer them, the report.

Clients are handed in; the only state is in the bucket.
"""
