"""`model.tar.gz`: the card, the weights and what the card names beside them.

Byte for byte the same for the same model.
Weights hardly compress, so gzip runs at its fastest level: 8 % smaller, in half a second.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from domain.archive import (
    CARD,
    WEIGHTS,
    ArchiveError,
    Content,
    card_bytes,
    digests,
    read_model,
)
from domain.errors import SortboxError
from domain.model import ModelCard

Files = Mapping[str, bytes]
NONE: Files = MappingProxyType({})


class PackageError(SortboxError, ValueError):
    """This is not a model archive; the sentence says why."""


def pack(card: ModelCard, weights: bytes, path: Path, compiled: Files = NONE) -> None:
    """`weights`: a safetensors file. Raises PackageError if a file is not the card's."""
    contents = _contents(card, weights, compiled)
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def write(card: ModelCard, weights: bytes, folder: Path, compiled: Files = NONE) -> None:
    """The files as they lie in an unpacked archive: all, or none.

    For /opt/ml/model, of which SageMaker makes the archive itself. The card comes last.
    """
    contents = _contents(card, weights, compiled)
    for name in contents:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    parts = {name: folder / f"{name}.part" for name in reversed(contents)}
    try:
        for name, part in parts.items():
            part.write_bytes(contents[name])
        for name, part in parts.items():
            part.replace(folder / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _contents(card: ModelCard, weights: bytes, compiled: Files) -> dict[str, bytes]:
    """The card first. Raises PackageError."""
    files = {WEIGHTS: weights, **compiled}
    actual = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if actual != digests(card):
        raise PackageError("the card names other weights than these")
    try:
        return {CARD: card_bytes(card), **files}
    except ArchiveError as error:
        raise PackageError(f"no archive can hold this model: {error}") from error


def unpack(archive: Path, folder: Path) -> ModelCard:
    """Copies the card's files into `folder`, which is made where absent, and nothing else.

    `domain.archive` says what is refused, and how little memory and disk any archive takes.
    Raises PackageError.
    """

    def write(name: str, content: Content) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:
            file.writelines(content)

    folder.mkdir(parents=True, exist_ok=True)
    with archive.open("rb") as packed:
        try:
            return read_model(packed, archive.stat().st_size, write)
        except ArchiveError as error:
            raise PackageError(f"{archive.name} is not a model archive: {error}") from error
