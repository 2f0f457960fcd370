"""What the container's image and the functions' bundle consist of. Standard library only."""

from pathlib import Path

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

IMAGE_FILES = ("infra/container", "infra/tools/uv.txt", "infra/tools/sbom.txt", *INVENTORY)
"""What the image is built from, beside the sources that it runs (`domain.container`)."""
