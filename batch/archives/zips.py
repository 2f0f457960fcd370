"""Read a zip file from S3: its directory at the end, and each member by a range.

Nothing is held but one window of the directory and one of the members, so that a million members
take no more memory than one. The sizes in the directory are promises: a member that does not keep
them is damaged.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from batch.archives.entries import (
    DAMAGED,
    ENCRYPTED,
    LINK,
    SPECIAL,
    ArchiveEntry,
    EntryError,
    decode_name,
)
from batch.archives.source import PackedObject, UnpackError

END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64 = struct.Struct("<4sLQL")
CENTRAL = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")

TAIL_BYTES = END.size + 65_535 + LOCATOR_64.size
"""The end record is followed by a comment of at most 65,535 bytes."""

STORED, DEFLATED = 0, 8
METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
}
IS_ENCRYPTED = 0x1
UNIX, FILE_TYPE, REGULAR, FOLDER_TYPE, LINK_TYPE = 3, 0o170000, 0o100000, 0o040000, 0o120000
ZIP_64, UNICODE_PATH = 0x0001, 0x7075
WRAP_BYTES = 2**32
"""What offsets of 32 bits are counted modulo where an archive should be zip64 and is not."""

NOT_A_ZIP = "The file is not a zip archive, or its end is missing."


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """Where the central directory is.

    `shift`: bytes that were put before the archive. `wraps`: how often offsets have begun again at
    0, as macOS writes archives beyond 4 GB.
    """

    first: int
    size: int
    shift: int
    wraps: int = 0


@dataclass(frozen=True, slots=True)
class _Record:
    """One record of the directory; `raw`: the bytes of its name."""

    raw: bytes
    name: str
    is_guessed: bool
    made_by: int
    flags: int
    method: int
    checksum: int
    packed_size: int
    size: int
    attributes: int
    offset: int


def find_directory(packed: PackedObject) -> ZipDirectory:
    """Raises UnpackError if there is none, or if the archive is one of several parts."""
    first = max(0, packed.size - TAIL_BYTES)
    tail = packed.read(first, packed.size - first)
    at = _find_end(tail)
    _, disk, first_disk, _, _, size, offset, _ = END.unpack_from(tail, at)
    end, before = first + at, at - LOCATOR_64.size
    is_64 = before >= 0 and tail.startswith(b"PK\6\7", before)
    if is_64:
        _, _, stated, _ = LOCATOR_64.unpack_from(tail, before)
        end = _find_end_64(packed, stated, first + before)
        _, _, _, _, disk, first_disk, _, _, size, offset = END_64.unpack(
            packed.read(end, END_64.size)
        )
    if disk or first_disk:
        raise UnpackError(
            "unsupported_format",
            "The archive is one part of several, which are not put together here. Upload it whole.",
        )
    shift = end - size - offset
    if shift < 0:
        raise UnpackError("corrupt", "The archive is damaged: its directory is not where it says.")
    wraps, rest = divmod(shift, WRAP_BYTES)
    if wraps and not rest and not is_64:
        return ZipDirectory(offset + shift, size, shift=0, wraps=wraps)
    return ZipDirectory(offset + shift, size, shift)


def _find_end(tail: bytes) -> int:
    """The place of the last end record that fits, with its comment, into the file's tail."""
    at = tail.rfind(b"PK\5\6")
    while at >= 0 and (
        len(tail) < at + END.size or at + END.size + END.unpack_from(tail, at)[7] > len(tail)
    ):
        at = tail.rfind(b"PK\5\6", 0, at)
    if at < 0:
        raise UnpackError("truncated", NOT_A_ZIP)
    return at


def _find_end_64(packed: PackedObject, stated: int, locator: int) -> int:
    """The place of zip64's end record: the stated one, or before the locator if all is shifted."""
    for at in (stated, max(0, locator - END_64.size)):
        record = packed.read(at, END_64.size)
        if len(record) == END_64.size and record.startswith(b"PK\6\6"):
            return at
    raise UnpackError("corrupt", "The archive is damaged: its end record is missing.")


def read_entries(
    packed: PackedObject, directory: ZipDirectory, at: int, number: int
) -> Iterator[ArchiveEntry]:
    """The entries from the offset `at` within the directory on; `number` is the first one's.

    Raises UnpackError for a damaged directory.
    """
    contents = _Contents(replace(packed), directory.wraps)  # a window of its own
    while at < directory.size:
        fixed = packed.read(directory.first + at, CENTRAL.size)
        if len(fixed) < CENTRAL.size or not fixed.startswith(b"PK\1\2"):
            raise UnpackError("corrupt", f"The archive is damaged: entry {number + 1} is no entry.")
        lengths = CENTRAL.unpack(fixed)[10:13]
        variable = packed.read(directory.first + at + CENTRAL.size, sum(lengths))
        record = _parse(fixed, variable, directory.shift)
        at += CENTRAL.size + sum(lengths)
        yield ArchiveEntry(
            number,
            record.name,
            record.size,
            _problem(record),
            partial(contents.read, record),
            at,
            _is_folder(record),
            record.is_guessed,
        )
        number += 1


def _parse(fixed: bytes, variable: bytes, shift: int) -> _Record:
    _, version, _, flags, method, _, _, checksum, packed_size, size, *rest = CENTRAL.unpack(fixed)
    name_length, extra_length, _, _, _, attributes, offset = rest
    raw, extra = variable[:name_length], variable[name_length : name_length + extra_length]
    fields = _extra_fields(extra)
    name, is_guessed = _decode_name(raw, fields.get(UNICODE_PATH, b""))
    large = [value for (value,) in struct.iter_unpack("<Q", _whole(fields.get(ZIP_64, b"")))]
    numbers = [
        large.pop(0) if value == 0xFFFFFFFF and large else value
        for value in (size, packed_size, offset)
    ]
    if "/" not in name:
        name = name.replace("\\", "/")  # as some programs for Windows write paths
    return _Record(
        raw=raw,
        name=name,
        is_guessed=is_guessed,
        made_by=version >> 8,
        flags=flags,
        method=method,
        checksum=checksum,
        packed_size=numbers[1],
        size=numbers[0],
        attributes=attributes,
        offset=numbers[2] + shift,
    )


def _decode_name(raw: bytes, field: bytes) -> tuple[str, bool]:
    """A name, and whether its encoding is a guess.

    The field of Info-ZIP's with the name in UTF-8 counts if it has the checksum of this very name:
    a program that renames an entry may leave the field as it was. The flag of UTF-8 is missing in
    many archives whose names are UTF-8, and there in some whose names are not.
    """
    if len(field) > 5 and field[0] == 1 and field[1:5] == struct.pack("<L", zlib.crc32(raw)):
        name, is_guessed = decode_name(field[5:], "cp437")
        if not is_guessed:
            return name, False
    return decode_name(raw, "cp437")


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    fields, at = dict[int, bytes](), 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        fields.setdefault(kind, extra[at + 4 : at + 4 + length])
        at += 4 + length
    return fields


def _whole(field: bytes) -> bytes:
    """Without the last bytes that are no 64-bit number, such as the number of a disk."""
    return field[: len(field) // 8 * 8]


def _unix_type(record: _Record) -> int:
    """The type of file where the archive was made on Unix; 0 elsewhere."""
    return record.attributes >> 16 & FILE_TYPE if record.made_by == UNIX else 0


def _is_folder(record: _Record) -> bool:
    return record.name.endswith("/") or _unix_type(record) == FOLDER_TYPE


def _problem(record: _Record) -> str | None:
    if _unix_type(record) not in (0, REGULAR):
        return LINK if _unix_type(record) == LINK_TYPE else SPECIAL
    if record.flags & IS_ENCRYPTED:
        return ENCRYPTED
    if record.method not in (STORED, DEFLATED):
        method = METHODS.get(record.method, "an unknown method")
        return f"compressed with {method}, and not with Deflate"
    return None


@dataclass
class _Contents:
    """The members' contents. `wraps`: how often offsets begin again; `_wrap`: as at the last one,
    as members mostly lie in the order of the directory."""

    packed: PackedObject
    wraps: int
    _wrap: int = 0

    def read(self, record: _Record) -> bytes:
        """Unpack a member. Raises EntryError unless size and checksum are as in the directory."""
        expansion = record.packed_size - record.size
        if expansion > 1_000 + record.size // 100:
            raise EntryError(DAMAGED)
        content = self.packed.read(self._find(record), record.packed_size)
        if record.method == DEFLATED:
            stream = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                content = stream.decompress(content, record.size + 1)
            except zlib.error as error:
                raise EntryError(DAMAGED) from error
        if len(content) != record.size or zlib.crc32(content) != record.checksum:
            raise EntryError(DAMAGED)
        return content

    def _find(self, record: _Record) -> int:
        """Where the member's content begins. Where offsets wrap, the name decides which it is."""
        for wrap in (*range(self._wrap, self.wraps + 1), *range(self._wrap)):
            first: int = record.offset + wrap * WRAP_BYTES
            local = self.packed.read(first, LOCAL.size)
            if len(local) < LOCAL.size or not local.startswith(b"PK\3\4"):
                continue
            lengths: tuple[int, int] = LOCAL.unpack(local)[9:11]
            name = self.packed.read(first + LOCAL.size, lengths[0]) if self.wraps else record.raw
            if name == record.raw:
                self._wrap = wrap
                return first + LOCAL.size + sum(lengths)
        raise EntryError(DAMAGED)
