"""`./sortbox review`: the answers that a person should check, and corrections as class folders."""
