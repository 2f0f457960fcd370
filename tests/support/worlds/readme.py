"""README.md, read as a person reads it: commands, code and links."""

import re

from infra.local.place import REPOSITORY

TEXT = (REPOSITORY / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Lines of the shell blocks, without what stands behind a #."""
    lines = [
        line.partition(" #")[0].strip() for block in blocks("sh") for line in block.split("\n")
    ]
    return [line for line in lines if line and not line.startswith("#")]


def links() -> list[str]:
    return [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
