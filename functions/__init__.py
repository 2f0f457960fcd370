"""The doors: Lambda handlers on boto3 and powertools, and nothing heavier."""
