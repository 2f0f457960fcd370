"""Which source files are part of the container: they determine the image's tag and the code digest
on a model card.

The launchers below `training/` run on the user's machine. Editing them changes no model, so they
are excluded and change neither the tag nor the digest.
"""

PACKAGES = ("domain", "serving", "training")
ELSEWHERE = ("training/launch/", "training/managed_debugger/")
"""Folders of those packages that are not part of the container: they run on the user's machine, or
in images that AWS provides."""


def is_in_container(name: str) -> bool:
    """Whether the file `name` (path relative to the repository, with `/`) is in the container."""
    package, _, _ = name.partition("/")
    return package in PACKAGES and name.endswith(".py") and not name.startswith(ELSEWHERE)
