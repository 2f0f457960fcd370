"""Lambda handlers. They import boto3 and powertools and no other large package."""
