"""Build build/lambda.zip: the functions' sources and the packages that the Lambda runtime lacks.

`python -m infra.stacks.bundle`

The build is reproducible: the same sources give the same bytes, with sorted names and fixed dates
and modes. It contains pure Python only, so that one bundle runs on both architectures: without its
compiled module, markupsafe uses its `_native` fallback. boto3 is part of the runtime.
"""

import os
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from domain.container import SOURCES
from domain.errors import SortboxError
from infra.audit import inventory, notices
from infra.shipped import BUNDLE_PACKAGES, DISTRIBUTIONS, REPOSITORY

BUNDLE = REPOSITORY / "build" / "lambda.zip"
NOTICES = "THIRD_PARTY_NOTICES.txt"
"""The licences of the packages, which require to be distributed with the code."""

LARGEST = 2 * 1024 * 1024
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip file can store."""


class BundleError(SortboxError):
    """The bundle cannot be built; the message says why."""


def build(target: Path, largest: int = LARGEST) -> int:
    """Write the bundle; returns its size in bytes. Raises BundleError if that exceeds `largest`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(f".{os.getpid()}.part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as bundle:
        entries = [(name, source.read_bytes()) for name, source in (*_ours(), *_theirs())]
        for name, content in sorted([*entries, (NOTICES, _notices())]):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix: otherwise the modes below are ignored
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, content)
    size = unfinished.stat().st_size
    if size > largest:
        raise BundleError(
            f"the bundle takes {size:,} bytes, more than {largest:,}; "
            f"{unfinished} shows what it is made of"
        )
    unfinished.replace(target)  # atomic: a concurrent deployment reads a complete file
    return size


def _ours() -> Iterator[tuple[str, Path]]:
    for package in BUNDLE_PACKAGES:
        for source in (REPOSITORY / package).rglob("*"):
            if source.suffix in SOURCES:
                yield source.relative_to(REPOSITORY).as_posix(), source


def _theirs() -> Iterator[tuple[str, Path]]:
    for name in DISTRIBUTIONS:
        for path in distribution(name).files or ():
            if path.suffix == ".py" and ".." not in path.parts:
                yield path.as_posix(), Path(str(path.locate()))


def _notices() -> bytes:
    parts = inventory.components(inventory.own_site(), DISTRIBUTIONS)
    return notices.notices("the functions' bundle", parts).encode()


def main() -> int:
    try:
        size = build(BUNDLE)
    except BundleError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{BUNDLE.relative_to(REPOSITORY)}: {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
