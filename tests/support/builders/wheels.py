"""Packages made on the spot, and a folder of them in place of a registry."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

NOTHING: Mapping[str, str] = {}


def registry(folder: Path, cache: Path) -> dict[str, str]:
    """What tells uv to take packages from `folder` alone."""
    return {"UV_FIND_LINKS": str(folder), "UV_NO_INDEX": "1", "UV_CACHE_DIR": str(cache)}


def wheel(path: Path, body: str, extra: Mapping[str, str] = NOTHING) -> str:
    """A package of one module, and `extra` files; returns its hash."""
    info = "sample-1.0.dist-info"
    entries = {
        "sample.py": body,
        **extra,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "".join(
            f"{name},,\n" for name in ("sample.py", *extra, f"{info}/METADATA", f"{info}/WHEEL")
        ),
    }
    with zipfile.ZipFile(path, "w") as packed:
        for name, text in entries.items():
            packed.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()
