"""What the container's image and the functions' bundle consist of. Standard library only."""

from pathlib import Path
from typing import Literal

REPOSITORY = Path(__file__).parents[1]

SOURCES = (".py", ".jinja")
"""What a package of ours consists of: modules and templates."""

BUNDLE_PACKAGES = ("aws", "batch", "domain", "functions", "pages")
DISTRIBUTIONS = ("aws-lambda-powertools", "typing-extensions", "jmespath", "jinja2", "markupsafe")
"""What the functions import that the runtime lacks, and what that imports."""

INVENTORY = (
    *(f"infra/audit/{name}.py" for name in ("inventory", "licences", "notices", "sbom")),
    "infra/shipped.py",
)
"""What writes the image's own bill of materials while it is built."""

Variant = Literal["serve", "cpu", "gpu"]
"""Of the image: `infra.models.image_choice` says which one a model or a job needs."""

CONTAINER = "infra/container"


def image_packages(variant: Variant) -> tuple[str, ...]:
    """The packages whose sources the variant runs."""
    return ("domain", "serving") if variant == "serve" else ("domain", "serving", "training")


def image_files(variant: Variant) -> tuple[str, ...]:
    """What the variant is built from, beside those sources: what another one has is not in it."""
    locks = {"serve": ("serve",), "cpu": ("cpu", "torch-cpu"), "gpu": ("gpu",)}[variant]
    scripts = ("serve",) if variant == "serve" else ("serve", "train")
    names = ("Dockerfile", "base", *scripts, *(f"{lock}.txt" for lock in locks))
    in_container = (f"{CONTAINER}/{name}" for name in names)
    return (*in_container, "infra/tools/uv.txt", "infra/tools/sbom.txt", *INVENTORY)
