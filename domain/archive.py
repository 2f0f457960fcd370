"""`model.tar.gz`: what it holds, and how one that a stranger made is read.

The one place for the names of its files and for every limit. `tarfile` parses a header but does not
walk the archive: it reads names of any length into memory, writes sparse members out in full, and
follows forms that no model needs. Regular files and folders are taken, nothing else. Memory is a
few megabytes whatever the archive says; what it unpacks to is bounded by its own size, before a
byte of it is written.
"""

import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO

from domain.errors import SortboxError
from domain.file_names import Names, UnsafeName, relative, shown
from domain.model import MOST_LABELS, ModelCard, Preprocessing

CARD = "card.json"
WEIGHTS = "weights.safetensors"
OPENVINO = "openvino"
TOPOLOGY = f"{OPENVINO}/model.xml"
VALUES = f"{OPENVINO}/model.bin"

FILE_BYTES: Mapping[str, int] = MappingProxyType(
    {CARD: 4 * 2**20, WEIGHTS: 4 * 2**30, TOPOLOGY: 64 * 2**20, VALUES: 4 * 2**30}
)
"""The only files that a model archive may hold, and how large each may be."""

CARD_VALUES = MOST_LABELS + 10_000
"""Labels, and all else that a card says."""

CARD_RESERVE_BYTES = 2**18
"""Of a card, for whatever is not labels."""

TOTAL_BYTES = 8 * 2**30
EXPANSION = 20
SLACK_BYTES = 256 * 2**20
"""Unpacked, an archive may have EXPANSION times its own size and this beside it: weights hardly
shrink, and gzip can make a thousand bytes of one."""

ENTRIES = 10_000
"""Headers of any kind; also the most gzip streams one after another."""

HEADER_BYTES = 64 * 2**10
"""Of an extended header, in which tar writes long names and dates."""

HEADERS_BYTES = 4 * 2**20
"""Of all extended headers together."""

PADDING_BYTES = 2**20
"""Zeros after the end: tar fills its last record, of 10 kB unless told otherwise."""

BLOCK = 512
PIECE_BYTES = 2**20


class ArchiveError(SortboxError, ValueError):
    """Not a model archive, or not one that is opened; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file."""

    name: str
    """Safe below any folder, and of no other member."""
    size: int


Content = Iterator[bytes]
"""Pieces of at most a megabyte, `size` bytes in all."""


def members(packed: IO[bytes], packed_bytes: int) -> Iterator[tuple[Member, Content]]:
    """The regular files in order; content that is not read is passed over. Raises ArchiveError."""
    most = min(TOTAL_BYTES, SLACK_BYTES + EXPANSION * packed_bytes)
    unzipped, names = _Unzipped(packed, most), Names(ignore_case=True)
    for name, size in _headers(unzipped):
        member = _member(name, size, names)
        if size > unzipped.left:
            raise ArchiveError(
                f"with {member.name} it has more than {most:,} bytes, too much for an archive of "
                f"{packed_bytes:,}"
            )
        content = unzipped.pieces(size)
        yield member, content
        for _ in content:
            pass
        unzipped.read(-size % BLOCK)


def _headers(unzipped: "_Unzipped") -> Iterator[tuple[str, int]]:
    """Name and size of each regular file, whose content is to be read before the next."""
    name = ""
    for _ in range(ENTRIES):
        header = unzipped.read(BLOCK)
        if header.count(0) == BLOCK:
            unzipped.expect_padding()
            return
        info = _parsed(header)
        match info.type:
            case tarfile.GNUTYPE_LONGNAME:
                name = _decoded(unzipped.read_extended(info.size)).partition("\0")[0]
            case tarfile.XHDTYPE:
                name = _path_of(unzipped.read_extended(info.size)) or name
            case tarfile.DIRTYPE if info.size == 0:
                name = ""  # folders are made as files need them
            case tarfile.REGTYPE | tarfile.AREGTYPE:
                yield name or info.name, info.size
                name = ""
            case _:
                raise ArchiveError(f"{shown(name or info.name)} is not a regular file")
    raise ArchiveError(f"it has more than {ENTRIES:,} entries")


def read_model(
    packed: IO[bytes], packed_bytes: int, write: Callable[[str, Content], object]
) -> ModelCard:
    """Hands each file of the model to `write`, its card included. Raises ArchiveError.

    For anything but the files that the card names, each once.
    """
    card, there = b"", set()
    for member, content in members(packed, packed_bytes):
        limit = FILE_BYTES.get(member.name)
        if limit is None:
            raise ArchiveError(f"it holds {shown(member.name)} unexpectedly")
        if member.size > limit:
            raise ArchiveError(f"{member.name} is larger than {limit:,} bytes")
        there.add(member.name)
        if member.name == CARD:
            card = b"".join(content)
            content = iter((card,))
        write(member.name, content)
    for name in (CARD, WEIGHTS):
        if name not in there:
            raise ArchiveError(f"it holds no {name}")
    read = read_card(card)
    named = set() if read.openvino is None else set(read.openvino.files)
    if named != there - {CARD, WEIGHTS} or named not in (set(), {TOPOLOGY, VALUES}):
        raise ArchiveError("it holds other files than its card names")
    return read


def read_card(content: bytes) -> ModelCard:
    """Raises ArchiveError."""
    if len(content) > FILE_BYTES[CARD]:
        raise ArchiveError(f"{CARD} is larger than {FILE_BYTES[CARD]:,} bytes")
    if _holds_many(content):
        raise ArchiveError(f"{CARD} is not a model card: it has more than {CARD_VALUES:,} values")
    try:
        return ModelCard.from_json(content.decode())
    except ValueError as error:
        raise ArchiveError(f"{CARD} is not a model card: {error}") from error


def _holds_many(content: bytes) -> bool:
    """Whether there are more values than a card has: parsed, an empty list takes 20 times its size.

    Counted without parsing: what is between quotes is passed over.
    """
    unescaped = content.replace(rb"\\", b"").replace(rb"\"", b"")
    if unescaped.count(b'"') > 2 * CARD_VALUES:
        return True
    outside = b"".join(unescaped.split(b'"')[::2])
    return sum(map(outside.count, (b",", b"[", b"{"))) > CARD_VALUES


def card_bytes(card: ModelCard) -> bytes:
    """Of `card.json`. Raises ArchiveError for a card that `read_card` would not take."""
    try:
        content = card.to_json().encode()
    except UnicodeEncodeError as error:
        raise ArchiveError(f"{CARD} would have half of a surrogate pair: {error}") from error
    read_card(content)
    return content


def check_labels(labels: tuple[str, ...]) -> None:
    """Before a model is trained for hours. Raises ArchiveError where no card could hold them."""
    numbers = Preprocessing(1, 1, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    size = len(card_bytes(ModelCard("model", "network", labels, numbers, "0" * 64)))
    if size > FILE_BYTES[CARD] - CARD_RESERVE_BYTES:
        raise ArchiveError(f"its labels take {size:,} bytes, too many for {CARD}")


class _Unzipped:
    """Exactly as many bytes as are asked for, and never more than allowed."""

    def __init__(self, packed: IO[bytes], most: int) -> None:
        self._inflated = _inflated(packed)
        self._waiting = memoryview(b"")
        self.left = most
        self._extended_left = HEADERS_BYTES

    def read(self, size: int) -> bytes:
        """A header or padding: small."""
        return b"".join(self._take(size))

    def read_extended(self, size: int) -> bytes:
        """What an extended header says."""
        self._extended_left -= size
        if size > HEADER_BYTES or self._extended_left < 0:
            raise ArchiveError(f"it has extended headers of {size:,} bytes or more")
        return self.read(size + -size % BLOCK)[:size]

    def pieces(self, size: int) -> Content:
        self.left -= size
        return self._take(size)

    def expect_padding(self) -> None:
        """After the end there are zeros, and not many. Raises ArchiveError."""
        rest = PADDING_BYTES
        while self._waiting or self._fill():
            rest -= len(self._waiting)
            if rest < 0 or self._waiting.tobytes().strip(b"\0"):
                raise ArchiveError("something follows its end")
            self._waiting = memoryview(b"")

    def _take(self, size: int) -> Content:
        while size:
            if not self._waiting and not self._fill():
                raise ArchiveError("it is cut short")
            piece, self._waiting = self._waiting[:size], self._waiting[size:]
            size -= len(piece)
            yield piece.tobytes()

    def _fill(self) -> bool:
        self._waiting = memoryview(next(self._inflated, b""))
        return len(self._waiting) > 0


def _inflated(packed: IO[bytes]) -> Iterator[bytes]:
    """Of a gzip file, or several one after another; its checksums are compared. ArchiveError."""
    data = packed.read(PIECE_BYTES)
    for _ in range(ENTRIES):
        stream = zlib.decompressobj(wbits=31)
        while not stream.eof:
            try:
                piece = stream.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise ArchiveError(f"it is not readable as gzip: {error}") from error
            if piece:
                yield piece
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
            data = data or packed.read(PIECE_BYTES)
            if not data and not piece and not stream.eof:
                raise ArchiveError("it is cut short")
        if not data:
            return
    raise ArchiveError(f"it is more than {ENTRIES:,} gzip files")


def _parsed(header: bytes) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise ArchiveError(f"it is not readable as tar: {error}") from error
    if info.size < 0:
        raise ArchiveError(f"{shown(info.name)} has a negative size")
    return info


def _path_of(header: bytes) -> str:
    """A pax header's path, if any. Dates and owners are passed over; a size would contradict."""
    path, at = "", 0
    while at < len(header):
        length = header[at : at + 7].partition(b" ")[0]
        end = at + int(length) if length.isdigit() else 0
        key, equals, value = header[at + len(length) + 1 : end].partition(b"=")
        if end <= at or end > len(header) or not equals or not value.endswith(b"\n"):
            raise ArchiveError("it has a pax header that cannot be read")
        at = end
        if key == b"size" or key.startswith(b"GNU.sparse."):
            raise ArchiveError("it has a file with holes, or with two sizes")
        if key == b"path":
            path = _decoded(value[:-1])
    return path


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _member(name: str, size: int, names: Names) -> Member:
    try:
        path = relative(name.removeprefix("./"))  # as `tar -C folder .` writes
        names.add(path)
    except UnsafeName as error:
        raise ArchiveError(str(error)) from error
    return Member(str(path), size)
