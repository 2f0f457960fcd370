"""Read a tar file as a stream: the headers of ustar, GNU and pax, one member at a time.

`tarfile` parses single headers here but does not walk the archive: it would read names of any
length into memory, and it cannot go on in the middle.
"""

import re
import tarfile
from collections.abc import Iterator
from functools import partial

from batch.archives.entries import LINK, SPECIAL, ArchiveEntry, decode_name
from batch.archives.source import CUT_SHORT, Stream, UnpackError

BLOCK = 512
MAGIC_AT, GNU_MAGIC = 257, b"ustar  \0"
EXTENDED_BYTES = 2**20
"""The largest extended header, in which tar stores long names, dates and attributes."""

MOST_FIELDS = 10_000
"""The most fields of a pax header, of which one of 1 MiB may have 200,000."""

MOST_EXTENDED = 4
"""The most extended headers of one entry. Programs write two at most: a long name and a long link,
or one of pax."""

SPARSE_BLOCKS = 10_000
"""The longest map of a sparse file: 5 MB, of 210,000 holes."""

SPARSE = "a file with holes, as tar --sparse writes it"
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)
FOLDERS = (tarfile.DIRTYPE, tarfile.XGLTYPE, b"V", b"D", b"N")
"""Folders, global headers, and GNU's volume labels, dumped folders and old long names."""

WITHOUT_CONTENT = (*LINKS, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
"""Their size is not that of anything which follows: old programs give links that of their file."""

PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
EXTENDED = (*PAX, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


def read_entries(stream: Stream, number: int) -> Iterator[ArchiveEntry]:
    """The entries from the stream's position on, a header's; `number` is the first one's.

    Content that was not read is skipped. Raises UnpackError for a damaged archive.
    """
    name, fields, extended = b"", dict[str, bytes](), 0
    while block := _read_header(stream):
        info = parse_header(block)
        if info.type in EXTENDED:
            extended += 1
            content = _read_extended(stream, info.size, extended)
            if info.type == tarfile.GNUTYPE_LONGNAME:
                name = content.partition(b"\0")[0]
            elif info.type in PAX:
                fields = _pax_fields(content)
            stream.skip(-info.size % BLOCK)
            continue
        size = 0 if info.type in WITHOUT_CONTENT else int(fields.get("size", info.size))
        end = stream.position + size + -size % BLOCK
        if info.type == tarfile.GNUTYPE_SPARSE:
            end += _skip_sparse_map(stream, block)
        raw = fields.get("path") or name or _raw_name(block, info)
        path, is_guessed = decode_name(raw, "latin-1")
        read = partial(_read_content, stream, size)
        is_folder, problem = info.type in FOLDERS, _problem(info.type, fields)
        yield ArchiveEntry(number, path, size, problem, read, end, is_folder, is_guessed)
        name, fields, extended = b"", {}, 0
        number += 1
        stream.skip(end - stream.position)
    if extended:
        raise UnpackError("truncated", CUT_SHORT)
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


def _read_header(stream: Stream) -> bytes:
    """The next header; b"" at the zeros that end an archive, or where it ends without them."""
    block = stream.read(BLOCK)
    if not block.strip(b"\0"):
        return b""
    if len(block) < BLOCK:
        raise UnpackError("truncated", CUT_SHORT)
    return block


def _read_content(stream: Stream, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise UnpackError("truncated", CUT_SHORT)
    return content


def _read_extended(stream: Stream, size: int, number: int) -> bytes:
    if size > EXTENDED_BYTES:
        raise UnpackError("unsupported_format", f"The archive has a header of {size:,} bytes.")
    if number > MOST_EXTENDED:
        raise UnpackError("corrupt", f"The archive has more than {MOST_EXTENDED} headers a file.")
    return _read_content(stream, size)


def _skip_sparse_map(stream: Stream, header: bytes) -> int:
    """The size of the blocks that continue a sparse header, which are skipped."""
    blocks, is_continued = 0, header[482] != 0
    while is_continued:
        is_continued = _read_content(stream, BLOCK)[504] != 0
        blocks += 1
        if blocks > SPARSE_BLOCKS:
            raise UnpackError("unsupported_format", "The archive has a file of too many holes.")
    return blocks * BLOCK


def _problem(kind: bytes, fields: dict[str, bytes]) -> str | None:
    if kind == tarfile.GNUTYPE_SPARSE or any(name.startswith("GNU.sparse.") for name in fields):
        return SPARSE
    if kind in FILES:
        return None
    return LINK if kind in LINKS else SPECIAL


def _pax_fields(header: bytes) -> dict[str, bytes]:
    """The fields of a pax header that matter here. Raises UnpackError if it is malformed."""
    fields, at, count = dict[str, bytes](), 0, 0
    while at < len(header):
        count += 1
        if count > MOST_FIELDS:
            raise UnpackError(
                "unsupported_format",
                f"The archive has a header of more than {MOST_FIELDS:,} fields.",
            )
        length = header[at : at + 8].partition(b" ")[0]
        end = at + int(length) if length.isdigit() else 0
        key, equals, value = header[at + len(length) + 1 : end].partition(b"=")
        if end <= at or end > len(header) or not equals or not value.endswith(b"\n"):
            raise UnpackError("corrupt", "The archive is damaged: a pax header cannot be read.")
        if key in (b"path", b"size") or key.startswith(b"GNU.sparse."):
            fields[key.decode(errors="replace")] = value[:-1]
        at = end
    if not re.fullmatch(b"[0-9]{1,18}", fields.get("size", b"0")):
        raise UnpackError(
            "corrupt", "The archive is damaged: a pax header has a size of no number."
        )
    return fields


def _raw_name(header: bytes, info: tarfile.TarInfo) -> bytes:
    """The name in a header; `tarfile` takes GNU's times, in incremental archives, for a folder."""
    if header.startswith(GNU_MAGIC, MAGIC_AT):
        return header[:100].partition(b"\0")[0]
    return info.name.encode("utf-8", "surrogateescape")
