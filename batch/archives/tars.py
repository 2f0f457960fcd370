"""Read a tar file as a stream: the headers of ustar, GNU and pax, one member at a time.

`tarfile` parses single headers here but does not walk the archive: it would read names of any
length into memory, and it cannot go on in the middle.
"""

import re
import tarfile
from collections.abc import Iterator
from functools import partial

from batch.archives.entries import LINK, SPECIAL, ArchiveEntry, decode_name
from batch.archives.source import Stream, UnpackError

BLOCK = 512
EXTENDED_BYTES = 2**20
"""The largest extended header, in which tar stores long names, dates and attributes."""

CUT_SHORT = "The archive is cut short: upload it again."
SPARSE = "a file with holes, as tar --sparse writes it"
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)
NO_FILES = (tarfile.DIRTYPE, tarfile.XGLTYPE, b"V", b"D", b"N")
"""Folders, global headers, and GNU's volume labels, dumped folders and old long names."""


def read_entries(stream: Stream, number: int) -> Iterator[ArchiveEntry]:
    """The entries from the stream's position on, a header's; `number` is the first one's.

    Content that was not read is skipped. Raises UnpackError for a damaged archive.
    """
    name, fields = "", dict[str, str]()
    while (block := _read_content(stream, BLOCK)).count(0) < BLOCK:
        info = parse_header(block)
        is_extended = info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE)
        size = info.size if is_extended else int(fields.get("size", info.size))
        end = stream.position + size + -size % BLOCK
        if info.type == tarfile.GNUTYPE_LONGNAME:
            name = _decode(_read_extended(stream, size).partition(b"\0")[0])
        elif info.type == tarfile.XHDTYPE:
            fields = _pax_fields(_read_extended(stream, size))
        elif info.type != tarfile.GNUTYPE_LONGLINK:
            if info.type == tarfile.GNUTYPE_SPARSE:
                end += _skip_sparse_map(stream, block)
            if info.type not in NO_FILES:
                path = fields.get("path") or name or _decode(_raw(info.name))
                read = partial(_read_content, stream, size)
                problem = _problem(info.type, fields)
                yield ArchiveEntry(number, path, size, problem, read, end)
            name, fields = "", {}
            number += 1
        stream.skip(end - stream.position)
    stream.finish()


def parse_header(block: bytes) -> tarfile.TarInfo:
    """Raises UnpackError unless the block is a tar header with a correct checksum."""
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise UnpackError(
            "corrupt", f"The file is not a tar archive, or it is damaged: {error}."
        ) from error
    if info.size < 0:
        raise UnpackError("corrupt", "The archive is damaged: a file has a negative size.")
    return info


def _read_content(stream: Stream, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise UnpackError("truncated", CUT_SHORT)
    return content


def _read_extended(stream: Stream, size: int) -> bytes:
    if size > EXTENDED_BYTES:
        raise UnpackError("unsupported_format", f"The archive has a header of {size:,} bytes.")
    return _read_content(stream, size)


def _skip_sparse_map(stream: Stream, header: bytes) -> int:
    """The size of the blocks that continue a sparse header, which are skipped."""
    size, is_continued = 0, header[482] != 0
    while is_continued:
        is_continued = _read_content(stream, BLOCK)[504] != 0
        size += BLOCK
    return size


def _problem(kind: bytes, fields: dict[str, str]) -> str | None:
    if kind == tarfile.GNUTYPE_SPARSE or any(name.startswith("GNU.sparse.") for name in fields):
        return SPARSE
    if kind in FILES:
        return None
    return LINK if kind in LINKS else SPECIAL


def _pax_fields(header: bytes) -> dict[str, str]:
    """The fields of a pax header that matter here. Raises UnpackError if it is malformed."""
    fields, at = dict[str, str](), 0
    while at < len(header):
        length = header[at : at + 8].partition(b" ")[0]
        end = at + int(length) if length.isdigit() else 0
        key, equals, value = header[at + len(length) + 1 : end].partition(b"=")
        if end <= at or end > len(header) or not equals or not value.endswith(b"\n"):
            raise UnpackError("corrupt", "The archive is damaged: a pax header cannot be read.")
        if key in (b"path", b"size") or key.startswith(b"GNU.sparse."):
            fields[key.decode(errors="replace")] = _decode(value[:-1])
        at = end
    if not re.fullmatch("[0-9]{1,18}", fields.get("size", "0")):
        raise UnpackError(
            "corrupt", "The archive is damaged: a pax header has a size of no number."
        )
    return fields


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _decode(raw: bytes) -> str:
    return decode_name(raw, "latin-1")
