"""The acceptance run: steps that prove a whole stage in an account, and the report on them."""
