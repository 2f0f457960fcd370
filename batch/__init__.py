"""Batch runs: find images without a current result, classify them with transform jobs, and report.

AWS clients are passed in by the caller. All state is in the bucket.
"""
