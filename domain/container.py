"""Which source files are part of the container: they determine the image's tag and the code digest
on a model card.

The launchers and the check of data below `training/` run on the user's machine, and the pages of
runs are written in Lambda. Editing them changes no model, so they are excluded and change neither
the tag nor the digest.
"""

PACKAGES = ("domain", "pages", "serving", "training")
SOURCES = (".py", ".jinja")
"""What a package of ours consists of: modules and templates."""

ELSEWHERE = (
    "pages/templates/runs/",
    *("training/findings/", "training/launch/", "training/managed_debugger/"),
)
"""Folders of those packages that are not part of the container: they are of use on the user's
machine, in Lambda, or in images that AWS provides."""


def is_in_container(name: str) -> bool:
    """Whether the file `name` (path relative to the repository, with `/`) is in the container."""
    package, _, _ = name.partition("/")
    return package in PACKAGES and name.endswith(SOURCES) and not name.startswith(ELSEWHERE)
