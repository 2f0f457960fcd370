"""Read an archive in S3 by ranges, and as the stream of bytes that a tar file is."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from aws.bucket import Bucket
from domain.archive import ArchiveError, CutShortError, inflate
from domain.errors import SortboxError
from domain.result import Version

WINDOW_BYTES = 4 * 2**20
"""One GET reads at least so much, as the members of an archive are mostly small and adjacent."""

PIECE_BYTES = 2**20

CUT_SHORT = "The archive is cut short: upload it again."


class UnpackError(SortboxError):
    """The archive cannot be unpacked, or not any further; `code` is a rejection's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ReplacedError(SortboxError):
    """The archive was removed or replaced while it was being unpacked."""


@dataclass
class PackedObject:
    """One version of an object. Remembers the last bytes that it read, 100 MB at most."""

    bucket: Bucket
    key: str
    version: Version
    size: int
    _first: int = 0
    _window: bytes = b""

    def read(self, first: int, size: int) -> bytes:
        """`size` bytes from the offset `first`; fewer at the end of the object.

        Raises ReplacedError if the object has changed.
        """
        end = min(first + size, self.size)
        if first >= end:
            return b""
        if first < self._first or end > self._first + len(self._window):
            length = min(max(end - first, WINDOW_BYTES), self.size - first)
            window = self.bucket.span(self.key, self.version.etag, first, length)
            if window is None:
                raise ReplacedError(self.key)
            self._first, self._window = first, window
        return self._window[first - self._first : end - self._first]


class Stream(Protocol):
    """The bytes of a tar file, read forwards."""

    position: int

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer at the end."""

    def skip(self, size: int) -> None:
        """Raises UnpackError if the stream ends within these bytes."""

    def finish(self) -> None:
        """Read to the end where that verifies a checksum. Raises UnpackError."""


@dataclass
class PlainStream:
    """A tar file that is not compressed: what is skipped is not downloaded."""

    packed: PackedObject
    position: int = 0

    def read(self, size: int) -> bytes:
        content = self.packed.read(self.position, size)
        self.position += len(content)
        return content

    def skip(self, size: int) -> None:
        self.position += size
        if self.position > self.packed.size:
            raise UnpackError("truncated", CUT_SHORT)

    def finish(self) -> None:
        """A tar file has no checksum."""


class GzipStream:
    """A tar file in gzip. gzip has no index: skipping inflates what is skipped.

    So each step of an archive begins at the front again, and `most` bytes bound what that takes.
    """

    def __init__(self, packed: PackedObject, most: int) -> None:
        self.position = 0
        self._most = most
        self._packed, self._packed_at = packed, 0
        self._pieces: Iterator[bytes] = inflate(self._read_packed)
        self._rest = memoryview(b"")

    def _read_packed(self, size: int) -> bytes:
        content = self._packed.read(self._packed_at, size)
        self._packed_at += len(content)
        return content

    def read(self, size: int) -> bytes:
        content = io.BytesIO()
        while content.tell() < size and (self._rest or self._fill()):
            content.write(self._take(size - content.tell()))
        return content.getvalue()

    def skip(self, size: int) -> None:
        while size > 0 and (self._rest or self._fill()):
            size -= len(self._take(size))
        if size > 0:
            raise UnpackError("truncated", CUT_SHORT)

    def finish(self) -> None:
        while self._fill():
            self._take(len(self._rest))

    def _take(self, size: int) -> memoryview:
        piece, self._rest = self._rest[:size], self._rest[size:]
        self.position += len(piece)
        return piece

    def _fill(self) -> bool:
        try:
            self._rest = memoryview(next(self._pieces, b""))
        except ArchiveError as error:
            code = "truncated" if isinstance(error, CutShortError) else "corrupt"
            raise UnpackError(code, f"The archive is damaged: {error}.") from error
        if self.position + len(self._rest) > self._most:
            raise UnpackError(
                "too_large",
                f"The archive unpacks to more than {self._most:,} bytes, too much for a compressed "
                f"tar of {self._packed.size:,}. Divide it, or upload it as .zip or .tar.",
            )
        return len(self._rest) > 0
