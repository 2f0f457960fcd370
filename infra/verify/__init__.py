"""The acceptance run: steps that test a whole stage in an account, and the report on them."""
