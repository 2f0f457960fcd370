"""Archives as people and programs make them, by the standard library, and some by hand."""

import gzip
import io
import tarfile
import warnings
import zipfile
from collections.abc import Iterable, Mapping

from domain.archive import card_bytes
from domain.model import ModelCard, Preprocessing

WHEN = (2026, 1, 1, 0, 0, 0)


Files = Mapping[str, bytes] | Iterable[tuple[str, bytes]]
"""Folders are the names that end in a slash. As pairs, a name may be there twice."""


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in _pairs(files):
            info = zipfile.ZipInfo(name, WHEN)
            info.compress_type = method
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of names that are there twice
                archive.writestr(info, content)
    return packed.getvalue()


def _pairs(files: Files) -> Iterable[tuple[str, bytes]]:
    return files.items() if isinstance(files, Mapping) else files


def zipped_with(info: zipfile.ZipInfo, content: bytes = b"1", more: bytes = b"") -> bytes:
    """An archive of one entry, and `2.jpg`."""
    packed = io.BytesIO(more)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(info, content)
        archive.writestr(zipfile.ZipInfo("2.jpg", WHEN), b"2")
    return packed.getvalue()


def tarred(files: Files, form: int = tarfile.PAX_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for name, content in _pairs(files):
            add(archive, name, content)
    return packed.getvalue()


def tarred_with(info: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """An archive of one entry, and `2.jpg`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
        add(archive, "2.jpg", b"2")
    return packed.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name.rstrip("/"))
    info.size = len(content)
    if name.endswith("/"):
        info.type = tarfile.DIRTYPE
    archive.addfile(info, io.BytesIO(content))


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def archive_of_labels(labels: tuple[str, ...], before: Mapping[str, bytes] | None = None) -> bytes:
    """A model's archive with its card alone, behind the files `before`."""
    numbers = Preprocessing(8, 8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    card = card_bytes(ModelCard("pets", "network", labels, numbers, "0" * 64))
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in ({**(before or {}), "card.json": card}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()
