"""model.tar.gz, opened without trusting it: named regular files are copied, nothing else exists."""

import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

MEMBERS = 10_000
BYTES = 8 * 1024**3


class ArchiveRefused(ValueError):
    """Says which member, or what about the whole, cannot be accepted."""


def unpack(archive: Path, folder: Path) -> None:
    """Copy the regular files of `archive` below the empty `folder`. Raises ArchiveRefused.

    tarfile's own filters have been bypassed; here no link is ever made, so no later member can
    follow one, and a name given twice is refused.
    """
    try:
        with tarfile.open(archive, "r|gz") as members:
            _copy(members, folder)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ArchiveRefused(f"model archive is not a readable tar.gz: {error}") from error


def _copy(members: tarfile.TarFile, folder: Path) -> None:
    left = BYTES
    for number, member in enumerate(members):
        left -= member.size
        if number >= MEMBERS or left < 0:
            raise ArchiveRefused(f"model archive holds over {MEMBERS} members or {BYTES} bytes")
        if not member.isdir():
            _copy_file(members, member, folder / _safe_path(member))


def _safe_path(member: tarfile.TarInfo) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ArchiveRefused(f"model archive: {member.name!r} is not a regular file")
    if path.is_absolute() or ".." in path.parts or "\0" in member.name or not path.name:
        raise ArchiveRefused(f"model archive: {member.name!r} leads out of the model's folder")
    return path


def _copy_file(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = members.extractfile(member)
    if source is None:
        raise ArchiveRefused(f"model archive: {member.name!r} has no content")
    if target.exists():
        raise ArchiveRefused(f"model archive: {member.name!r} is there twice")
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file)
