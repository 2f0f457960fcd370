"""`model.tar.gz`: weights.safetensors and card.json, byte for byte the same for the same model.

Weights are noise to gzip, so it is asked for its fastest: 8 % smaller, in half a second.
"""

import gzip
import hashlib
import io
import shutil
import tarfile
import zlib
from pathlib import Path

from domain.model import ModelCard

CARD = "card.json"
WEIGHTS = "weights.safetensors"
MAX_BYTES = {CARD: 4 * 2**20, WEIGHTS: 8 * 2**30}
"""The only files an archive may hold, and how large each may be."""


class PackageError(ValueError):
    """This is not a model archive; the sentence says why."""


def pack(card: ModelCard, weights: bytes, path: Path) -> None:
    """`weights`: a safetensors file. Raises PackageError if they are not the card's."""
    if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
        raise PackageError("the card names other weights than these")
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in ((CARD, card.to_json().encode()), (WEIGHTS, weights)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def write(card: ModelCard, weights: bytes, folder: Path) -> None:
    """The two files as they lie in an unpacked archive: both, or neither.

    For /opt/ml/model, of which SageMaker makes the archive itself. The card comes last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = ((WEIGHTS, weights), (CARD, card.to_json().encode()))
    parts = [folder / f".{name}.part" for name, _ in contents]
    try:
        for part, (_, content) in zip(parts, contents, strict=True):
            part.write_bytes(content)
        for part, (name, _) in zip(parts, contents, strict=True):
            part.replace(folder / name)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def unpack(archive: Path, folder: Path) -> ModelCard:
    """Copies the two files into `folder`, which is made where absent, and nothing else.

    No extraction by tarfile, whose filters have been bypassed more than once. Raises PackageError
    for an archive that holds anything but the two as regular files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = set(MAX_BYTES)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name in ("", ".") and member.isdir():  # `tar -C folder .` begins with it
                    continue
                if name not in missing:
                    raise PackageError(f"{archive.name} holds {member.name[:100]!r} unexpectedly")
                _copy(tar, member, folder / name)
                missing.remove(name)
        if missing:
            raise PackageError(f"{archive.name} holds no {min(missing)}")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise PackageError(f"{archive.name} is not a model archive: {error}") from error
    return _card(folder / CARD)


def _card(path: Path) -> ModelCard:
    try:
        return ModelCard.from_json(path.read_text())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PackageError(f"{CARD} is not a model card: {error}") from error


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        raise PackageError(f"{member.name} is not a regular file")
    if member.size > MAX_BYTES[path.name]:
        raise PackageError(f"{member.name} is larger than {MAX_BYTES[path.name]:,} bytes")
    with source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
