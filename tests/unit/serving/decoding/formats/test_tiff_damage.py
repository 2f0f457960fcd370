"""Damaged TIFFs: a refusal, and never pixels that libtiff or the padding made up."""

import struct

import numpy as np
import pytest

from serving.classifier import is_small
from serving.decoding.decode import decode
from serving.decoding.undecodable import UndecodableError
from tests.support.builders.formats import tiff
from tests.support.builders.formats.tiff import LONG, Layout
from tests.unit.serving.decoding.variants.variant import picture

MAX_PIXELS = 50_000_000
FLOAT = 11
TALL = np.ascontiguousarray(np.tile(picture(), (8, 1, 1)))


@pytest.mark.parametrize("number", [256, 257])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_a_refusal_and_no_error_of_the_server(
    number: int, value: float
) -> None:
    """The size is looked at before any decoder is asked: a whole transform job failed of it."""
    [bits] = struct.unpack("<I", struct.pack("<f", value))
    body = tiff.write(picture(), 8, 2, Layout(tags={number: (LONG, [bits])}))
    entry = struct.pack("<HHI", number, LONG, 1)
    assert body.count(entry) == 1
    body = body.replace(entry, struct.pack("<HHI", number, FLOAT, 1))
    with pytest.raises(UndecodableError):
        is_small(body, "tiff")
    with pytest.raises(UndecodableError):
        decode(body, MAX_PIXELS, 0)


INKS = np.ascontiguousarray(TALL[:, :, :1] > 127, np.uint8)
PACKED = {
    "LZW": tiff.write(TALL, 8, 2, Layout(compression=5)),
    "deflate": tiff.write(TALL, 8, 2, Layout(compression=8)),
    "PackBits": tiff.write(TALL, 8, 2, Layout(compression=32773)),
    "Zstandard": tiff.write(TALL, 8, 2, Layout(compression=50000)),
    "JPEG": tiff.write_jpeg(TALL, 2, Layout(), has_tables=False),
    "CCITT group 3": tiff.write(INKS, 1, 0, Layout(compression=3)),
    "CCITT group 4": tiff.write(INKS, 1, 0, Layout(compression=4)),
}


def tags_of(body: bytes) -> dict[int, tuple[int, int]]:
    """Where each tag of a small directory is, and its first value."""
    at = struct.unpack_from("<I", body, 4)[0]
    return {
        number: (at + 2 + 12 * entry, value)
        for entry in range(struct.unpack_from("<H", body, at)[0])
        for number, _, _, value in [struct.unpack_from("<HHII", body, at + 2 + 12 * entry)]
    }


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_strip_that_is_cut_off_is_refused(name: str, share: float) -> None:
    """A fax that lacks half of its lines is not a page with a white half."""
    body = PACKED[name]
    assert decode(body, MAX_PIXELS, 0) is not None
    tags = tags_of(body)
    (_, place), (_, count) = tags[273], tags[279]
    at = struct.unpack_from("<I", body, 4)[0]
    assert place > at or place + count <= at
    strip = body[place : place + int(count * share)]
    cut = bytearray(body + strip)  # the strip at the end, where the file ends before it does
    struct.pack_into("<I", cut, tags[273][0] + 8, len(body))
    with pytest.raises(UndecodableError):
        decode(bytes(cut), MAX_PIXELS, 0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("has_tables", [False, True])
def test_a_jpeg_strip_without_its_end_is_refused(share: float, has_tables: bool) -> None:
    """libjpeg makes up the end, and the rest of the picture: half of it would be grey."""
    body = tiff.write_jpeg(TALL, 2, Layout(), has_tables)
    place, count = tags_of(body)[279]
    cut = bytearray(body)
    struct.pack_into("<I", cut, place + 8, int(count * share))
    with pytest.raises(UndecodableError) as refusal:
        decode(bytes(cut), MAX_PIXELS, 0)
    assert refusal.value.code == "truncated"


def test_bytes_behind_the_end_of_a_jpeg_strip_do_no_harm() -> None:
    body = tiff.write_jpeg(TALL, 2, Layout(), has_tables=False)
    place, count = tags_of(body)[279]
    padded = bytearray(body + bytes(50))
    struct.pack_into("<I", padded, place + 8, count + 50)
    shown, expected = (decode(bytes(file), MAX_PIXELS, 0).pixels for file in (padded, body))
    assert np.array_equal(shown, expected)


def test_strips_that_end_within_shared_chroma_are_refused_by_name() -> None:
    samples = tiff.to_ycbcr(picture())
    body = tiff.write_ycbcr(samples, (2, 2), Layout(rows_per_strip=3))
    with pytest.raises(UndecodableError, match="share chroma"):
        decode(body, MAX_PIXELS, 0)
