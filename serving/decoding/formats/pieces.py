"""A file made of parts of others, without a copy: a decoder reads it as one."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate


class PiecesFile(io.RawIOBase):
    """Reads `pieces` one after the other. A copy of a body would take up to 100 MB."""

    def __init__(self, pieces: Sequence[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._ends = list(accumulate(len(piece) for piece in pieces))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._ends[-1] if self._ends else 0
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill the buffer, from as many pieces as it takes."""
        view, filled = memoryview(buffer), 0
        number = bisect_right(self._ends, self._at)
        while filled < len(view) and number < len(self._ends):
            piece = self._pieces[number]
            start = self._at - (self._ends[number] - len(piece))
            part = piece[start : start + len(view) - filled]
            view[filled : filled + len(part)] = part
            filled += len(part)
            self._at += len(part)
            number += 1
        return filled


def open_pieces(pieces: Sequence[bytes | memoryview]) -> io.BufferedReader:
    return io.BufferedReader(PiecesFile(pieces), 65_536)
