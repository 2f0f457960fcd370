"""CloudFormation templates, and the commands that deploy and remove stacks."""
