"""Files that gzip has packed, as web servers and upload pipelines store them; unpacked once.

What they unpack to is bounded like every other body, so that memory and time are too: zlib unpacks
more than 200 MB a second, and takes no more memory than its window.
"""

import zlib
from io import BytesIO

from serving.decoding.undecodable import UndecodableError

MAGIC = b"\x1f\x8b\x08"

MAX_MEMBERS = 1_000
"""The most files that follow each other in one; parallel packers write one for each megabyte."""

GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
"""In zlib's terms: a header of gzip, and the largest window."""


PIECE_BYTES = 2**20
"""Bytes for zlib at a time: it copies what follows the end of a member."""


def unpack(body: bytes, max_bytes: int) -> bytes:
    """What was packed, with its checksums verified. Raises UndecodableError, also beyond
    `max_bytes`."""
    view, at = memoryview(body), 0
    unpacked = BytesIO()
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(GZIP_WINDOW_BITS)
        while not member.eof:
            piece = view[at : at + PIECE_BYTES]
            if not piece:
                raise UndecodableError(
                    "truncated", "The file is packed with gzip, and ends before what it holds does."
                )
            try:
                unpacked.write(member.decompress(piece, max_bytes + 1 - unpacked.tell()))
            except zlib.error as error:
                raise UndecodableError(
                    "corrupt", "The file is packed with gzip and damaged: it cannot be unpacked."
                ) from error
            if unpacked.tell() > max_bytes:
                raise UndecodableError(
                    "too_large",
                    f"The file is packed with gzip and unpacks to more than {max_bytes:,} bytes.",
                )
            at += len(piece) - len(member.unused_data)
        if not body.startswith(MAGIC, at):  # the end, padding, or junk, which gzip ignores too
            return unpacked.getvalue()
    raise UndecodableError(
        "too_expensive", f"The file is packed with gzip in more than {MAX_MEMBERS:,} parts."
    )
