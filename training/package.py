"""`model.tar.gz`: the card, the weights and what the card names beside them.

Byte for byte the same for the same model.
Weights are noise to gzip, so it is asked for its fastest: 8 % smaller, in half a second.
"""

import gzip
import hashlib
import io
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from domain.model import ModelCard
from serving.archive import CARD, OPENVINO, TOPOLOGY, VALUES, WEIGHTS

MAX_BYTES = {CARD: 4 * 2**20, WEIGHTS: 8 * 2**30, TOPOLOGY: 64 * 2**20, VALUES: 8 * 2**30}
"""The only files an archive may hold, and how large each may be."""

Files = Mapping[str, bytes]
NONE: Files = MappingProxyType({})


class PackageError(ValueError):
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
    folder.mkdir(parents=True, exist_ok=True)
    if compiled:
        (folder / OPENVINO).mkdir(exist_ok=True)
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
    found = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    named = {} if card.openvino is None else card.openvino.files
    if found != {WEIGHTS: card.weights_sha256, **named}:
        raise PackageError("the card names other weights than these")
    return {CARD: card.to_json().encode(), **files}


def unpack(archive: Path, folder: Path) -> ModelCard:
    """Copies the card's files into `folder`, which is made where absent, and nothing else.

    No extraction by tarfile, whose filters have been bypassed more than once. Raises PackageError
    for an archive that holds anything but them as regular files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = set(MAX_BYTES)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name in ("", ".", OPENVINO) and member.isdir():  # as `tar -C folder .` writes
                    continue
                if name not in missing:
                    raise PackageError(f"{archive.name} holds {member.name[:100]!r} unexpectedly")
                _copy(tar, member, folder / name, MAX_BYTES[name])
                missing.remove(name)
        if missing & {CARD, WEIGHTS}:
            raise PackageError(f"{archive.name} holds no {min(missing & {CARD, WEIGHTS})}")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise PackageError(f"{archive.name} is not a model archive: {error}") from error
    card = _card(folder / CARD)
    named = set() if card.openvino is None else set(card.openvino.files)
    if named != {TOPOLOGY, VALUES} - missing:
        raise PackageError(f"{archive.name} holds other files than its card names")
    return card


def _card(path: Path) -> ModelCard:
    try:
        return ModelCard.from_json(path.read_text())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PackageError(f"{CARD} is not a model card: {error}") from error


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, limit: int) -> None:
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        raise PackageError(f"{member.name} is not a regular file")
    if member.size > limit:
        raise PackageError(f"{member.name} is larger than {limit:,} bytes")
    path.parent.mkdir(exist_ok=True)
    with source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
