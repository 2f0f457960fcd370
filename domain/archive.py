"""`model.tar.gz`: its files, its limits, and a reader for untrusted archives.

`tarfile` parses single headers here but does not walk the archive: it would read names of any
length into memory, expand sparse members, and accept formats that no model needs. This reader
accepts regular files and folders only. It takes a few megabytes of memory for any archive, and it
bounds the unpacked size by the packed size before anything is written.
"""

import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO

from domain.errors import SortboxError
from domain.file_names import Names, UnsafeName, relative, shown
from domain.model import MOST_FEATURES, MOST_LABELS, MOST_NEIGHBOURS, ModelCard, Preprocessing

CARD = "card.json"
WEIGHTS = "weights.safetensors"
OPENVINO = "openvino"
TOPOLOGY = f"{OPENVINO}/model.xml"
VALUES = f"{OPENVINO}/model.bin"
NEIGHBOURS = "neighbours.int8"
"""Features of training images: a row of int8 for each, and nothing else. The card says how many
rows and how long; only their direction counts, so that they need no scale."""

FILE_BYTES: Mapping[str, int] = MappingProxyType(
    {
        CARD: 4 * 2**20,
        WEIGHTS: 4 * 2**30,
        TOPOLOGY: 64 * 2**20,
        VALUES: 4 * 2**30,
        NEIGHBOURS: MOST_NEIGHBOURS * MOST_FEATURES,
    }
)
"""The only files that a model archive may contain, with the limit of each in bytes."""

CARD_VALUES = MOST_LABELS + 10_000
"""The most JSON values in a card: its labels and everything else."""

CARD_RESERVE_BYTES = 2**18
"""The part of a card that is reserved for everything but its labels."""

TOTAL_BYTES = 8 * 2**30
EXPANSION = 20
SLACK_BYTES = 256 * 2**20
"""An archive may unpack to EXPANSION times its size plus SLACK_BYTES. Weights hardly compress;
gzip can expand a byte to a thousand."""

ENTRIES = 10_000
"""The most headers of any kind, and the most concatenated gzip streams."""

HEADER_BYTES = 64 * 2**10
"""The largest extended header, in which tar stores long names and dates."""

HEADERS_BYTES = 4 * 2**20
"""The total of all extended headers."""

PADDING_BYTES = 2**20
"""The most zeros after the end marker, where tar pads its last record, of 10 kB by default, and
after a gzip stream, where a tape or a disk pads the file."""

BLOCK = 512
PIECE_BYTES = 2**20


class ArchiveError(SortboxError, ValueError):
    """Not a model archive, or one that exceeds a limit; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file."""

    name: str
    """A safe relative path (`domain.file_names`), unique within the archive."""
    size: int


class CutShortError(ArchiveError):
    """The file ends too early."""


Content = Iterator[bytes]
"""The content of a member: chunks of at most 1 MiB, `size` bytes in total."""


def members(packed: IO[bytes], packed_bytes: int) -> Iterator[tuple[Member, Content]]:
    """The regular files in order of the archive; content that is not read is skipped.

    `packed` is the gzip file, of `packed_bytes`. Raises ArchiveError, also while iterating.
    """
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
    """Name and size of each regular file; the caller reads its content before the next one."""
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
                name = ""  # folders are created when a file needs them
            case tarfile.REGTYPE | tarfile.AREGTYPE:
                yield name or info.name, info.size
                name = ""
            case _:
                raise ArchiveError(f"{shown(name or info.name)} is not a regular file")
    raise ArchiveError(f"it has more than {ENTRIES:,} entries")


def read_model(
    packed: IO[bytes], packed_bytes: int, write: Callable[[str, Content], object]
) -> ModelCard:
    """Read a model: call `write(name, content)` for each file, and return the parsed card.

    Raises ArchiveError if the archive is not a model: it must contain exactly the files that its
    card names. Files before the error have been written by then.
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
    compiled = set() if read.openvino is None else set(read.openvino.files)
    if set(digests(read)) != there - {CARD} or compiled not in (set(), {TOPOLOGY, VALUES}):
        raise ArchiveError("it holds other files than its card names")
    return read


def digests(card: ModelCard) -> dict[str, str]:
    """The SHA-256 of every file that the card names: all of the archive but itself."""
    files = {} if card.openvino is None else dict(card.openvino.files)
    if card.unknown is not None:
        files[NEIGHBOURS] = card.unknown.sha256
    return files | {WEIGHTS: card.weights_sha256}


def read_card(content: bytes) -> ModelCard:
    """Parse an untrusted `card.json`. Raises ArchiveError if it is too large or invalid."""
    if len(content) > FILE_BYTES[CARD]:
        raise ArchiveError(f"{CARD} is larger than {FILE_BYTES[CARD]:,} bytes")
    if _holds_many(content):
        raise ArchiveError(f"{CARD} is not a model card: it has more than {CARD_VALUES:,} values")
    try:
        return ModelCard.from_json(content.decode())
    except ValueError as error:
        raise ArchiveError(f"{CARD} is not a model card: {error}") from error


def _holds_many(content: bytes) -> bool:
    """Whether the document has more values than a card can have.

    Counted without parsing, because a parsed empty list takes 20 times the memory of its text.
    Text between quotes is skipped.
    """
    unescaped = content.replace(rb"\\", b"").replace(rb"\"", b"")
    if unescaped.count(b'"') > 2 * CARD_VALUES:
        return True
    outside = b"".join(unescaped.split(b'"')[::2])
    return sum(map(outside.count, (b",", b"[", b"{"))) > CARD_VALUES


def card_bytes(card: ModelCard) -> bytes:
    """The content of `card.json`. Raises ArchiveError for a card that `read_card` would reject."""
    try:
        content = card.to_json().encode()
    except UnicodeEncodeError as error:
        raise ArchiveError(f"{CARD} would have half of a surrogate pair: {error}") from error
    read_card(content)
    return content


def check_labels(labels: tuple[str, ...]) -> None:
    """Raises ArchiveError if no card can hold these labels; called before a training begins."""
    numbers = Preprocessing(1, 1, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    size = len(card_bytes(ModelCard("model", "network", labels, numbers, "0" * 64)))
    if size > FILE_BYTES[CARD] - CARD_RESERVE_BYTES:
        raise ArchiveError(f"its labels take {size:,} bytes, too many for {CARD}")


class _Unzipped:
    """Reads the decompressed stream in exact sizes, and counts it against the limit `most`."""

    def __init__(self, packed: IO[bytes], most: int) -> None:
        self._inflated = inflate(packed.read)
        self._waiting = memoryview(b"")
        self.left = most
        self._extended_left = HEADERS_BYTES

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, for headers and padding. Raises ArchiveError at the end of file."""
        return b"".join(self._take(size))

    def read_extended(self, size: int) -> bytes:
        """The content of an extended header. Raises ArchiveError beyond HEADER_BYTES."""
        self._extended_left -= size
        if size > HEADER_BYTES or self._extended_left < 0:
            raise ArchiveError(f"it has extended headers of {size:,} bytes or more")
        return self.read(size + -size % BLOCK)[:size]

    def pieces(self, size: int) -> Content:
        self.left -= size
        return self._take(size)

    def expect_padding(self) -> None:
        """Read to the end of the file. Raises ArchiveError unless it is a few zeros."""
        rest = PADDING_BYTES
        while self._waiting or self._fill():
            rest -= len(self._waiting)
            if rest < 0 or self._waiting.tobytes().strip(b"\0"):
                raise ArchiveError("something follows its end")
            self._waiting = memoryview(b"")

    def _take(self, size: int) -> Content:
        while size:
            if not self._waiting and not self._fill():
                raise CutShortError("it is cut short")
            piece, self._waiting = self._waiting[:size], self._waiting[size:]
            size -= len(piece)
            yield piece.tobytes()

    def _fill(self) -> bool:
        self._waiting = memoryview(next(self._inflated, b""))
        return len(self._waiting) > 0


def inflate(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Decompress one gzip stream or several, and verify their checksums. Raises ArchiveError.

    `read(size)` returns the next bytes of the file, at most `size`. Yields at most 1 MiB at a time.
    """
    data = read(PIECE_BYTES)
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
            data = data or read(PIECE_BYTES)
            if not data and not piece and not stream.eof:
                raise CutShortError("it is cut short")
        data = _skip_padding(data, read)
        if not data:
            return
    raise ArchiveError(f"it is more than {ENTRIES:,} gzip files")


def _skip_padding(data: bytes, read: Callable[[int], bytes]) -> bytes:
    """The rest of `data`, and of what follows, from the first byte that is not 0."""
    rest = PADDING_BYTES
    while data and not (left := data.lstrip(b"\0")):
        rest -= len(data)
        if rest < 0:
            raise ArchiveError("too many zeros follow its end")
        data = read(PIECE_BYTES)
    return left if data else b""


def _parsed(header: bytes) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise ArchiveError(f"it is not readable as tar: {error}") from error
    if info.size < 0:
        raise ArchiveError(f"{shown(info.name)} has a negative size")
    return info


def _path_of(header: bytes) -> str:
    """The path in a pax header, or ''. Other fields are ignored, except a size, which is an error.

    Raises ArchiveError for a malformed header, and for sparse files.
    """
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
