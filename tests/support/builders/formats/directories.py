"""TIFF files of directories only, as camera raw files have them."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

SHORT, LONG = 3, 4
FORMATS = {SHORT: "H", LONG: "I"}
SUB_DIRECTORIES = 330


@dataclass(frozen=True)
class Directory:
    tags: dict[int, int]
    parts: Sequence["Directory"] = field(default_factory=tuple)
    """Directories that this one points to by tag 330."""


def file_of(*directories: Directory, order: str = "<", gap: bytes = b"") -> bytes:
    """The directories follow each other; `gap` is between the header and the first."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(gap)) + gap
    body = head
    for number, directory in enumerate(directories):
        is_last = number == len(directories) - 1
        body += _directory(directory, len(body), order, is_last)
    return body + bytes(64)


def _directory(directory: Directory, start: int, order: str, is_last: bool) -> bytes:
    """The directory, the offsets of its parts, the parts, and then the next directory."""
    tags = sorted(directory.tags) + ([SUB_DIRECTORIES] if directory.parts else [])
    size = 2 + 12 * len(tags) + 4
    offsets_at = start + size
    parts, offsets = b"", []
    for part in directory.parts:
        offsets.append(offsets_at + 4 * len(directory.parts) + len(parts))
        parts += _directory(part, offsets[-1], order, True)
    end = offsets_at + 4 * len(offsets) + len(parts)
    entries = struct.pack(order + "H", len(tags))
    for tag in sorted(tags):
        if tag == SUB_DIRECTORIES:
            value = offsets[0] if len(offsets) == 1 else offsets_at
            entries += struct.pack(order + "HHII", tag, LONG, len(offsets), value)
        else:
            number = directory.tags[tag]
            kind = SHORT if number < 65_536 else LONG
            packed = struct.pack(order + FORMATS[kind], number).ljust(4, b"\0")
            entries += struct.pack(order + "HHI", tag, kind, 1) + packed
    entries += struct.pack(order + "I", 0 if is_last else end)
    return entries + b"".join(struct.pack(order + "I", offset) for offset in offsets) + parts
