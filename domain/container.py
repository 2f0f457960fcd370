"""Which of these sources the container runs: what its image is built from, and what code a model
card names.

What starts and watches jobs lies below `training/` too, but runs on a person's machine: an edit
there changes no model, so it changes neither the image's tag nor a card's digest.
"""

PACKAGES = ("domain", "serving", "training")
ELSEWHERE = ("training/launch/", "training/managed_debugger/")
"""In those packages, but on a person's machine, or in AWS's own images."""


def is_in_container(name: str) -> bool:
    """Of a file by its path in the repository, with `/`."""
    package, _, _ = name.partition("/")
    return package in PACKAGES and name.endswith(".py") and not name.startswith(ELSEWHERE)
