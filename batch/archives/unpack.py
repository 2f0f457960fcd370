"""Unpack a part of an archive: for some seconds, from where the last step ended."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from batch.archives import state, tars, zips
from batch.archives.entries import ArchiveEntry, EntryError
from batch.archives.members import CROWDED, TAKEN, LeftOut, Origin, Written, target, write
from batch.archives.source import GzipStream, PackedObject, PlainStream, Stream, UnpackError
from batch.archives.state import Unpacking
from batch.context import Context, Limits
from domain.file_names import shown
from domain.route import (
    LARGEST_BYTES,
    OTHER_ARCHIVES,
    OTHER_COMPRESSIONS,
    Ignored,
    PackedFolder,
    route,
)

TOO_LARGE = f"larger than {LARGEST_BYTES:,} bytes, the largest image that can be classified"

Format = Literal["zip", "gzip", "tar"]
FORMATS: tuple[tuple[bytes, Format], ...] = ((b"PK", "zip"), (b"\x1f\x8b", "gzip"))


@dataclass
class _Batch:
    """Files that are written together, in parallel, and the state once they are."""

    unpacking: Unpacking
    files: list[tuple[ArchiveEntry, str, bytes]] = field(default_factory=list)
    entries: int = 0

    @property
    def size(self) -> int:
        return sum(len(content) for _, _, content in self.files)


def unpack(context: Context, unpacking: Unpacking, archive: PackedFolder) -> tuple[Unpacking, bool]:
    """The state after this step, and whether the archive ends there.

    Raises UnpackError if the archive cannot be unpacked any further, after all before it was
    written, and ReplacedError if it is no longer this one.
    """
    if isinstance(route(f"{archive.prefix}image", context.folder_depth), Ignored):
        raise UnpackError(
            "unsupported_format",
            f"The archive would be unpacked into {archive.prefix}, where files are ignored. Give "
            "it another name.",
        )
    packed = PackedObject(context.bucket, unpacking.key, unpacking.version, unpacking.size)
    begun = context.now()
    unpacking, entries = _open(context, packed, unpacking)
    took = context.now() - begun
    # A .tar.gz is inflated again up to its position, so that it may work for as long as that took.
    until = context.now() + max(timedelta(seconds=context.limits.unpack_seconds), took)
    batch = _Batch(unpacking)
    try:
        for entry in entries:
            _take(context, batch, archive, entry)
            is_full = batch.size >= context.limits.unpack_bytes
            if is_full or batch.entries >= context.limits.unpack_entries:
                batch = _Batch(_flush(context, batch))
                if context.now() > until:
                    return batch.unpacking, False
    except UnpackError:
        _flush(context, batch)
        raise
    return _flush(context, batch), True


def _open(
    context: Context, packed: PackedObject, unpacking: Unpacking
) -> tuple[Unpacking, Iterator[ArchiveEntry]]:
    """The entries that are left. Raises UnpackError for what is no archive, or too large a one."""
    head, limits = packed.read(0, tars.BLOCK), context.limits
    most = limits.archive_slack_bytes + limits.archive_expansion * unpacking.size
    at, number = unpacking.cursor, unpacking.number
    match _format_of(head, unpacking.key):
        case "zip":
            directory = zips.find_directory(packed)
            _refuse_size(packed.size, limits.archive_bytes)
            if unpacking.total is None:
                total = _check(packed, directory, min(most, limits.archive_bytes), limits)
                unpacking = replace(unpacking, total=total)
            return unpacking, zips.read_entries(packed, directory, at, number)
        case "gzip":
            _refuse_size(packed.size, limits.gzip_bytes)
            stream: Stream = GzipStream(packed, min(most, limits.gzip_bytes))
        case "tar":
            _refuse_size(packed.size, limits.archive_bytes)
            stream = PlainStream(packed)
    stream.skip(at)
    return unpacking, tars.read_entries(stream, number)


def _format_of(head: bytes, key: str) -> Format:
    """The format, by the first bytes; by the name only where a zip has something before it.

    Raises UnpackError if it is none of ours.
    """
    _refuse_others(head)
    for magic, form in FORMATS:
        if head.startswith(magic):
            return form
    is_named_zip = key.lower().endswith(".zip")
    if head.count(0) == tars.BLOCK:  # what is before a zip, or the end mark of an empty tar
        return "zip" if is_named_zip else "tar"
    try:
        tars.parse_header(head)
    except UnpackError:
        if not is_named_zip:
            raise
        return "zip"
    return "tar"


def _refuse_others(head: bytes) -> None:
    """Raises UnpackError for an empty file, and for what other programs have packed."""
    if not head:
        raise UnpackError("empty", "The file has no bytes.")
    for magic, name in (*OTHER_ARCHIVES, *OTHER_COMPRESSIONS):
        if head.startswith(magic):
            raise UnpackError(
                "unsupported_format",
                f"The file is {name}, whatever its name. Make a .zip, .tar or .tar.gz.",
            )


def _check(packed: PackedObject, directory: zips.ZipDirectory, most: int, limits: Limits) -> int:
    """Add up the whole directory before anything is written; returns how many entries it has.

    Raises UnpackError.
    """
    total = count = 0
    if directory.size > limits.directory_bytes:
        raise UnpackError(
            "too_large",
            f"The archive's list of entries is larger than {limits.directory_bytes:,} bytes. "
            "Divide it into several.",
        )
    for entry in zips.read_entries(packed, directory, 0, 0):
        _refuse_entries(entry, limits)
        total, count = total + entry.size, count + 1
        if total > most:
            raise UnpackError(
                "too_large",
                f"The archive unpacks to more than {most:,} bytes, too much for one of "
                f"{packed.size:,}. Divide it, or upload its files as a folder.",
            )
    return count


def _refuse_size(size: int, most: int) -> None:
    if size > most:
        raise UnpackError("too_large", f"The archive is larger than {most:,} bytes. Divide it.")


def _refuse_entries(entry: ArchiveEntry, limits: Limits) -> None:
    """Folders and whatever is left out count as well: each takes time to read."""
    if entry.number >= limits.archive_entries:
        raise UnpackError(
            "too_large",
            f"The archive has more than {limits.archive_entries:,} entries. Divide it into "
            "several.",
        )


def _take(context: Context, batch: _Batch, archive: PackedFolder, entry: ArchiveEntry) -> None:
    """Read an entry into the batch, or note why it is left out."""
    _refuse_entries(entry, context.limits)
    place = None if entry.is_folder else target(archive, entry.name, context.folder_depth)
    if isinstance(place, str):
        try:
            batch.files.append((entry, place, _content(entry)))
        except EntryError as error:
            place = LeftOut(str(error))
    if isinstance(place, LeftOut):
        batch.unpacking = batch.unpacking.leave_out(shown(entry.name), place)
    batch.entries += 1
    guessed = batch.unpacking.guessed_names + (entry.is_guessed and not entry.is_folder)
    batch.unpacking = replace(
        batch.unpacking, cursor=entry.after, number=entry.number + 1, guessed_names=guessed
    )


def _content(entry: ArchiveEntry) -> bytes:
    """Raises EntryError if the entry is no file, too large or damaged."""
    if entry.problem:
        raise EntryError(entry.problem)
    if entry.size > LARGEST_BYTES:
        raise EntryError(TOO_LARGE)
    return entry.read()


def _flush(context: Context, batch: _Batch) -> Unpacking:
    """Write the files of the batch, then the state."""
    unpacking = batch.unpacking

    def put(file: tuple[ArchiveEntry, str, bytes]) -> Written:
        entry, key, content = file
        origin = Origin(unpacking.key, unpacking.version, entry.number)
        return write(context.bucket, key, content, origin)

    with ThreadPoolExecutor(context.limits.heads_at_once) as threads:
        outcomes = [*threads.map(put, batch.files)]
    for (entry, _, content), outcome in zip(batch.files, outcomes, strict=True):
        match outcome:
            case "taken" | "crowded":
                why = LeftOut(TAKEN if outcome == "taken" else CROWDED)
                unpacking = unpacking.leave_out(shown(entry.name), why)
            case "written" | "unchanged":
                unpacking = replace(
                    unpacking,
                    files=unpacking.files + 1,
                    unchanged=unpacking.unchanged + (outcome == "unchanged"),
                    unpacked_bytes=unpacking.unpacked_bytes + len(content),
                )
    state.save(context.bucket, unpacking)
    return unpacking
