"""What the container image and the functions' bundle are built from. Standard library only."""

from pathlib import Path
from typing import Literal

REPOSITORY = Path(__file__).parents[1]

BUNDLE_PACKAGES = ("aws", "batch", "domain", "functions", "pages")
DISTRIBUTIONS = ("aws-lambda-powertools", "typing-extensions", "jmespath", "jinja2", "markupsafe")
"""Packages that the functions import and the Lambda runtime lacks, with their dependencies."""

INVENTORY = (
    *(f"infra/audit/{name}.py" for name in ("inventory", "licences", "notices", "sbom")),
    "infra/shipped.py",
)
"""The modules that write the image's bill of materials during its build."""

TRAINING_PACKAGES = ("domain", "pages", "serving", "training")
Variant = Literal["serve", "cpu", "gpu"]
"""A variant of the image. `infra.models.image_choice` selects the one for a model or a job."""

CONTAINER = "infra/container"


def image_packages(variant: Variant) -> tuple[str, ...]:
    """The packages whose sources are in the variant."""
    return ("domain", "serving") if variant == "serve" else TRAINING_PACKAGES


def image_files(variant: Variant) -> tuple[str, ...]:
    """The other files that the variant is built from. A variant does not contain files of another
    one.
    """
    locks = {"serve": ("serve",), "cpu": ("cpu", "torch-cpu"), "gpu": ("gpu",)}[variant]
    scripts = ("serve",) if variant == "serve" else ("serve", "train")
    names = ("Dockerfile", "base", *scripts, *(f"{lock}.txt" for lock in locks))
    in_container = (f"{CONTAINER}/{name}" for name in names)
    return (*in_container, "infra/tools/uv.txt", "infra/tools/sbom.txt", *INVENTORY)
