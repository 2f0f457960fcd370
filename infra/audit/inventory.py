"""Third-party packages in the artifacts: the functions' bundle, and each variant of the image.

They are read from installed distributions, with the standard library alone, so that the image can
list its own packages while it is built. A wheel may bundle more than its name says: shared
libraries, crates, copies of other packages. Their versions come from the wheel's SBOM (PEP 770),
its list of bundled licences, or the metadata of the copy; a library that none of them names has no
version here.
"""

import json
import platform
import re
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import Distribution, distributions
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Literal

from infra import shipped
from infra.audit.licences import licence_of

CONTAINER = shipped.REPOSITORY / "infra" / "container"

Artifact = Literal["lambda", "image-serve", "image-cpu", "image-gpu"]
ARTIFACT_LOCKS: dict[Artifact, tuple[str, ...]] = {
    "lambda": (),
    "image-serve": ("serve.txt",),
    "image-cpu": ("cpu.txt", "torch-cpu.txt"),
    "image-gpu": ("gpu.txt",),
}
"""The locks of each artifact. The bundle's packages are listed in infra/stacks/bundle.py."""

LIBRARY = re.compile(r"(?:lib)?(?P<name>[A-Za-z0-9_+]+)\S*\.so(\.[0-9].*)?")
"""The file name of a shared library, with an optional hash, version or build between the name and
`.so`."""

PROJECT_OF_LIBRARY = {
    "crypto": "openssl",
    "ssl": "openssl",
    "lcms2": "littlecms2",
    "openjp2": "openjpeg",
    "webpdemux": "webp",
    "webpmux": "webp",
    "sharpyuv": "webp",
    "avcodec": "ffmpeg",
    "avformat": "ffmpeg",
    "avutil": "ffmpeg",
    "swresample": "ffmpeg",
    "swscale": "ffmpeg",
    "openblasp": "openblasthreads",
}
"""The project of a library, if the names differ."""

OWN_LIBRARIES = {
    "torch": ("torch", "c10", "caffe2", "shm"),
    "openvino": ("openvino",),
    "triton": ("triton",),
}
"""Libraries that belong to the package itself; for NVIDIA's packages, all of them."""


class InventoryError(Exception):
    """A package is not installed; the message names it."""


@dataclass(frozen=True, slots=True)
class Bundled:
    """A third-party component that is bundled in a package."""

    name: str
    version: str | None
    """None if it is unknown: then known vulnerabilities cannot be looked up."""
    told_by: str
    purl: str | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShippedPackage:
    name: str
    version: str
    licence: str | None
    """An SPDX expression; None if neither the metadata nor a file states it."""
    texts: tuple[tuple[str, str], ...] = ()
    """Pairs of the name and the text of every licence file."""
    bundled: tuple[Bundled, ...] = field(default=())


def contents(thing: Artifact) -> frozenset[str]:
    """The names of the packages in an artifact, as in the locks."""
    if thing == "lambda":
        return frozenset(shipped.DISTRIBUTIONS)
    locks = [(CONTAINER / name).read_text() for name in ARTIFACT_LOCKS[thing]]
    return frozenset(
        name for lock in locks for name in re.findall(r"^([a-z0-9._-]+)==", lock, re.M)
    )


def own_site() -> Path:
    """The site-packages folder of the running interpreter."""
    return Path(sysconfig.get_path("purelib"))


def components(site: Path, names: Iterable[str] | None = None) -> list[ShippedPackage]:
    """The packages in `site`, sorted by name: those in `names`, or all. Raises InventoryError."""
    installed = {normal(item.metadata["Name"]): item for item in distributions(path=[str(site)])}
    required = set(installed) if names is None else set(names)
    if missing := sorted(required - set(installed)):
        raise InventoryError(f"not installed in {site}: {', '.join(missing)}")
    return [_shipped_package(name, installed[name]) for name in sorted(required)]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _shipped_package(name: str, distribution: Distribution) -> ShippedPackage:
    texts = tuple(_texts(distribution))
    stated = {*_of_sboms(name, distribution), *_of_licences(texts), *_of_copies(distribution)}
    bundled = tuple(sorted(_with_libraries(name, distribution, stated), key=repr))
    licence = licence_of(name, distribution.metadata, [text for _, text in texts])
    return ShippedPackage(name, distribution.version, licence, texts, bundled)


def _texts(distribution: Distribution) -> Iterator[tuple[str, str]]:
    for path in sorted(distribution.files or (), key=str):
        stem = re.match(r"(licen[cs]e|copying|notice|authors)", path.name.lower())
        if (stem or "licenses" in path.parts) and path.suffix not in (".py", ".pyc"):
            where = Path(str(path.locate()))
            if where.is_file():
                yield path.as_posix(), where.read_text(errors="replace")


def _of_sboms(name: str, distribution: Distribution) -> Iterator[Bundled]:
    for path in distribution.files or ():
        if "sboms" not in path.parts or path.suffix != ".json":
            continue
        document = json.loads(Path(str(path.locate())).read_text())
        for item in document.get("components", []):
            purl = item.get("purl")
            is_itself = normal(item["name"]) == name or "#c-ext" in (purl or "")
            if not is_itself:
                version = item.get("version")
                yield Bundled(item["name"], version, "the wheel's SBOM", _plain(purl))


def _plain(purl: str | None) -> str | None:
    """The package URL without the place of its download or build, which may be a local path."""
    return purl.partition("?")[0] if purl else None


def _of_licences(texts: Iterable[tuple[str, str]]) -> Iterator[Bundled]:
    """Bundled components from a licence file such as pillow-heif's, with lines `Name: libheif` …
    `tree/v1.23.6`.
    """
    for path, text in texts:
        for block in re.split(r"^Name: ", text, flags=re.M)[1:]:
            if version := re.search(r"/tree/v?([0-9][0-9.]+)", block):
                told_by = PurePath(path).name
                yield Bundled(block.splitlines()[0].strip(), version[1], told_by)


def _of_copies(distribution: Distribution) -> Iterator[Bundled]:
    """Copies of packages within `_vendor` or `vendored`; without metadata they have no version."""
    versioned: set[str] = set()
    for path in distribution.files or ():
        at = next((n for n, part in enumerate(path.parts) if part in VENDORED), None)
        if at is None or len(path.parts) < at + 2:
            continue
        below = path.parts[at + 1]
        if below.endswith(".dist-info") and path.name == "METADATA":
            name, _, version = below.removesuffix(".dist-info").partition("-")
            versioned.add(normal(name))
            purl = f"pkg:pypi/{normal(name)}@{version}"
            yield Bundled(normal(name), version, "its own metadata", purl)
    for name in sorted({*_copied(distribution)} - versioned):
        yield Bundled(name, None, "a folder's name")


VENDORED = frozenset({"_vendor", "_vendored", "vendored"})


def _copied(distribution: Distribution) -> Iterator[str]:
    for path in distribution.files or ():
        for folder, below in pairwise(path.parts):
            is_module = path.name != below or below.endswith(".py")
            if folder in VENDORED and is_module and "-info" not in below and below[:2] != "__":
                yield normal(below.removesuffix(".py"))


def _with_libraries(
    name: str, distribution: Distribution, stated: Iterable[Bundled]
) -> list[Bundled]:
    """The bundled shared libraries, each with what the wheel states about it, or with its file name
    only.
    """
    components: dict[Bundled, list[str]] = {item: [] for item in stated}
    called = {_stem(word): item for item in components for word in item.name.split("/")}
    for path in sorted(distribution.files or (), key=str):
        match = LIBRARY.fullmatch(path.name)
        grafted = path.parts[0].endswith(".libs") or path.parts[-2:-1] in (("lib",), ("libs",))
        if not grafted or match is None or ".cpython-" in path.name:
            continue
        library = _stem(match["name"])
        if library.startswith(OWN_LIBRARIES.get(name, "-")) or name.startswith("nvidia-"):
            continue
        alone = Bundled(f"lib{match['name']}", None, "the file alone")
        components.setdefault(
            called.get(PROJECT_OF_LIBRARY.get(library, library), alone), []
        ).append(path.as_posix())
    return [replace(item, files=tuple(files)) for item, files in components.items()]


def _stem(name: str) -> str:
    """A name for comparison: `libjpeg-turbo` becomes `jpegturbo`, and `openssl-libs` becomes
    `openssl`.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower().removesuffix("-libs"))
    return plain.removeprefix("lib") or plain


def of_debian(status: Path) -> list[ShippedPackage]:
    """The Debian packages of the image's base, from dpkg's status file."""
    packages = []
    for block in status.read_text().split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines() if line[:1].strip()]
        fields = {name: text for name, _, text in lines}
        if "installed" in fields.get("Status", "").split():
            packages.append(ShippedPackage(fields["Package"], fields["Version"], None))
    return packages


def python() -> ShippedPackage:
    """The running interpreter; during the image's build, that of the image."""
    return replace(ShippedPackage("python", platform.python_version(), "PSF-2.0"))
