import gzip
import tracemalloc

import numpy as np
import pytest

from serving.decoding import gzipped
from serving.decoding.undecodable import UndecodableError

WHOLE = bytes(range(256)) * 40
PACKED = gzip.compress(WHOLE, mtime=0)


@pytest.mark.parametrize(
    "body",
    [
        PACKED,
        gzip.compress(WHOLE[:500], mtime=0) + gzip.compress(WHOLE[500:], mtime=0),
        PACKED + bytes(512),
        PACKED + b"junk",
        gzip.compress(WHOLE, 0, mtime=0),
    ],
    ids=["one member", "two members", "padding", "junk", "stored"],
)
def test_a_packed_file_is_unpacked(body: bytes) -> None:
    assert gzipped.unpack(body, len(WHOLE)) == WHOLE


def test_a_member_may_end_anywhere_in_a_piece() -> None:
    noise = np.random.default_rng(1).bytes(gzipped.PIECE_BYTES + 500)
    body = gzip.compress(noise, mtime=0) + PACKED + gzip.compress(noise, mtime=0)
    assert gzipped.unpack(body, 3 * len(noise)) == noise + WHOLE + noise


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (PACKED[:-1], "truncated"),
        (PACKED[:5], "truncated"),
        (gzip.compress(b"x", mtime=0) + PACKED[:20], "truncated"),
        (PACKED[:10] + b"\xff" * 40, "corrupt"),
        (PACKED[:-8] + bytes(8), "corrupt"),
        (gzip.compress(bytes(len(WHOLE) + 1), mtime=0), "too_large"),
        (PACKED + gzip.compress(b"x", mtime=0), "too_large"),
        (gzip.compress(b"", mtime=0) * (gzipped.MAX_MEMBERS + 1), "too_expensive"),
    ],
    ids=[
        *("cut", "cut in its header", "second cut", "no deflate", "wrong checksum"),
        *("bomb", "second too large", "many members"),
    ],
)
def test_what_cannot_be_unpacked_is_refused_with_a_sentence(body: bytes, code: str) -> None:
    with pytest.raises(UndecodableError, match=r"packed with gzip.*\.$") as refusal:
        gzipped.unpack(body, len(WHOLE))
    assert refusal.value.code == code


def test_a_bomb_is_not_unpacked_whole() -> None:
    body = gzip.compress(bytes(200_000_000), 1, mtime=0)
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError, match="more than 1,000 bytes"):
            gzipped.unpack(body, 1_000)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
