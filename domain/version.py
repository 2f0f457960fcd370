"""Sortbox's version, written here alone: pyproject.toml, the command line, the cards of trained
models and the bills of materials read it."""

VERSION = "0.1.0"
