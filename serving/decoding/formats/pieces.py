"""A file made of parts of others, without a copy: a decoder reads it as one."""

import io
from collections.abc import Sequence
from itertools import accumulate


class PiecesFile(io.RawIOBase):
    """Reads `pieces` one after the other. A copy of a body would take up to 100 MB."""

    def __init__(self, pieces: Sequence[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._ends = list(accumulate(len(piece) for piece in pieces))
        self._at = 0
        self._current = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._ends[-1] if self._ends else 0
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: size}[whence]
        self._at = max(0, start + offset)
        self._current = 0
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill as much of the buffer as the current piece has."""
        while self._current < len(self._ends) and self._ends[self._current] <= self._at:
            self._current += 1
        if self._current == len(self._ends):
            return 0
        piece = self._pieces[self._current]
        start = self._at - (self._ends[self._current] - len(piece))
        part = piece[start : start + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def open_pieces(pieces: Sequence[bytes | memoryview]) -> io.BufferedReader:
    return io.BufferedReader(PiecesFile(pieces), 65_536)
