"""The command line: `./sortbox <command>`.

Modules import click and the standard library at their top, and everything else inside the function
that needs it, so that `--help` answers at once.
"""
