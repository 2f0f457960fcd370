"""Zip files as programs write them, and as no program should."""

import io
import struct
import zipfile
import zlib
from itertools import pairwise
from typing import Any

import pytest

from aws.bucket import Bucket
from batch.archives.entries import ArchiveEntry, EntryError
from batch.archives.source import PackedObject, UnpackError
from batch.archives.zips import find_directory, read_entries
from domain.result import Version
from tests.support.builders.packed import WHEN, zipped, zipped_with
from tests.support.fakes.aws import FakeS3

LONG = "day/" * 50 + "é.jpg"


def packed(content: bytes) -> PackedObject:
    s3: Any = FakeS3()
    etag = s3.put_object(Bucket="bucket", Key="inbox/a.zip", Body=content)["ETag"].strip('"')
    return PackedObject(Bucket(s3, "bucket"), "inbox/a.zip", Version(etag), len(content))


def entries(content: bytes, after: int = 0, number: int = 0) -> list[ArchiveEntry]:
    archive = packed(content)
    return [*read_entries(archive, find_directory(archive), after, number)]


def contents(content: bytes) -> dict[str, bytes]:
    return {entry.name: entry.read() for entry in entries(content)}


FILES = {"1.jpg": b"one" * 100, "day/2.jpg": b"two", LONG: b"", "パンツ.jpg": b"four"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_are_read_as_they_were_packed(method: int) -> None:
    assert contents(zipped(FILES, method)) == FILES


def test_reading_goes_on_behind_any_entry() -> None:
    content = zipped(FILES)
    whole = entries(content)
    for number, entry in enumerate(whole, 1):
        rest = entries(content, entry.after, number)
        assert [(one.number, one.name) for one in rest] == [
            (one.number, one.name) for one in whole[number:]
        ]


def test_folders_are_counted() -> None:
    content = zipped({"a/": b"", "a/b/": b"", "a/1.jpg": b"1"})
    found = [(one.number, one.is_folder) for one in entries(content)]
    assert found == [(0, True), (1, True), (2, False)]


def test_a_comment_at_the_end_and_bytes_before_the_front_change_nothing() -> None:
    out = io.BytesIO(zipped(FILES))
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"a comment with PK\5\6 in it" * 100
    assert contents(out.getvalue()) == FILES
    assert contents(b"MZ" * 500 + zipped(FILES)) == FILES


def test_streamed_zips_with_sizes_after_the_content_are_read() -> None:
    class OneWay(io.RawIOBase):
        """As a pipe: it cannot go back to a header."""

        def __init__(self) -> None:
            self.content = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.content += data
            return len(data)

    out = OneWay()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(zipfile.ZipInfo(name, WHEN), content)
    assert contents(bytes(out.content)) == FILES


def test_zip64_is_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in FILES.items():
            with archive.open(zipfile.ZipInfo(name, WHEN), "w", force_zip64=True) as member:
                member.write(content)
    assert contents(as_zip64(out.getvalue())) == FILES
    assert contents(b"MZ" * 500 + as_zip64(out.getvalue())) == FILES


def as_zip64(content: bytes) -> bytes:
    """The directory's numbers in the records of zip64, as archives beyond 4 GB have them."""
    at = content.rindex(b"PK\5\6")
    count, size, first = struct.unpack_from("<HLL", content, at + 10)
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, first)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    old = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return content[:at] + end + locator + old


class Sparse:
    """S3 with one object of many gigabytes, of zeros but for some pieces."""

    def __init__(self, size: int, pieces: dict[int, bytes]) -> None:
        self.size, self.pieces = size, pieces

    def get_object(self, Range: str, **_: str) -> dict[str, Any]:
        first, last = map(int, Range.removeprefix("bytes=").split("-"))
        content = bytearray(last + 1 - first)
        for at, piece in self.pieces.items():
            start, end = max(at, first), min(at + len(piece), last + 1)
            if start < end:
                content[start - first : end - first] = piece[start - at : end - at]
        return {"Body": io.BytesIO(content)}

    def packed(self) -> PackedObject:
        client: Any = self
        return PackedObject(Bucket(client, "bucket"), "inbox/a.zip", Version("etag"), self.size)


GIGABYTE = 2**30


def beyond_4_gb(places: dict[str, int], start: int = 0) -> Sparse:
    """An archive with members at these offsets, which its directory has modulo 2**32."""
    pieces, directory = {}, b""
    for name, at in places.items():
        raw = name.encode()
        content = b"content of " + raw
        numbers = (zlib.crc32(content), len(content), len(content))
        local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, *numbers, len(raw), 0)
        pieces[at] = local + raw + content
        directory += struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\1\2", 20, 20, 0, 0, 0, 0, *numbers, len(raw), 0, 0, 0, 0, 0, at % 2**32),
        )
        directory += raw
    first = max(places.values()) + GIGABYTE
    end = (first - start) % 2**32
    pieces[first] = directory + struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(directory), end, 0
    )
    return Sparse(first + len(pieces[first]), pieces)


@pytest.mark.parametrize(
    "gigabytes",
    [(0, 1, 3, 5, 6), (0, 9, 13, 14), (5, 0, 6, 1), (0, 4, 8, 12), (0, 0.5, 1, 1.5)],
    ids=["5 GB", "14 GB", "in no order", "at the same place", "not that large"],
)
def test_archives_beyond_4_gb_whose_offsets_begin_again_are_read(
    gigabytes: tuple[float, ...],
) -> None:
    """macOS writes no zip64: its offsets are modulo 2**32, and so is that of the directory."""
    places = {f"{n}.jpg": int(at * GIGABYTE) for n, at in enumerate(gigabytes)}
    archive = beyond_4_gb(places).packed()
    directory = find_directory(archive)
    whole = [*read_entries(archive, directory, 0, 0)]
    assert {one.name: one.read() for one in whole} == {
        name: f"content of {name}".encode() for name in places
    }
    for before, one in pairwise(whole):  # as a later step begins
        found = next(read_entries(archive, directory, before.after, one.number))
        assert found.read() == f"content of {one.name}".encode()


def renamed(raw: bytes, extra: bytes = b"") -> bytes:
    """An archive of one file whose name has these bytes, without the flag of UTF-8."""
    info = zipfile.ZipInfo("x" * len(raw), WHEN)
    info.extra = extra
    return zipped_with(info, b"1").replace(b"x" * len(raw), raw)


@pytest.mark.parametrize(
    ("raw", "name", "is_guessed"),
    [
        ("ü.jpg".encode("cp437"), "ü.jpg", True),
        ("ü.jpg".encode(), "ü.jpg", False),
        ("日本.jpg".encode("cp932"), "ô·û{.jpg", True),
        (b"day\\1.jpg", "day/1.jpg", False),
        (b"day/a\\b.jpg", "day/a\\b.jpg", False),
    ],
)
@pytest.mark.parametrize("is_flagged", [False, True])
def test_names_in_other_encodings_are_read(
    raw: bytes, name: str, is_guessed: bool, is_flagged: bool
) -> None:
    """Whether the flag says UTF-8 or not: programs set it wrongly both ways."""
    content = bytearray(renamed(raw))
    content[content.index(b"PK\1\2") + 9] |= 8 * is_flagged
    first, _ = entries(bytes(content))
    assert (first.name, first.is_guessed, first.read()) == (name, is_guessed, b"1")


def test_the_name_in_an_extra_field_counts_if_it_is_of_this_name() -> None:
    raw, name = b"\xfc.jpg", "パンツ.jpg".encode()
    own, guessed = zlib.crc32(raw), raw.decode("cp437")
    for field, right in (
        (struct.pack("<BL", 1, own) + name, "パンツ.jpg"),
        (struct.pack("<BL", 1, 1) + name, guessed),
        (struct.pack("<BL", 2, own) + name, guessed),
        (struct.pack("<BL", 1, own) + b"\xff\xff", guessed),
        (struct.pack("<BL", 1, own), guessed),
    ):
        extra = struct.pack("<2H", 0x7075, len(field)) + field
        first, _ = entries(renamed(raw, extra))
        assert (first.name, first.is_guessed) == (right, right == guessed)


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        (zipfile.ZIP_BZIP2, "compressed with bzip2, and not with Deflate"),
        (zipfile.ZIP_LZMA, "compressed with LZMA, and not with Deflate"),
    ],
)
def test_other_compressions_are_named(method: int, problem: str) -> None:
    assert [entry.problem for entry in entries(zipped({"1.jpg": b"1"}, method))] == [problem]


def changed(at: int, value: bytes) -> bytes:
    """`1.jpg`, of 300 bytes, and this at an offset of its record in the directory."""
    content = zipped({"1.jpg": b"one" * 100})
    start = content.index(b"PK\1\2") + at
    return content[:start] + value + content[start + len(value) :]


@pytest.mark.parametrize(
    "content",
    [
        changed(24, struct.pack("<L", 299)),
        changed(24, struct.pack("<L", 301)),
        changed(16, b"\0\0\0\0"),
        changed(20, struct.pack("<L", 3)),
        changed(20, struct.pack("<L", 2**31)),
        changed(42, struct.pack("<L", 5)),
        changed(42, struct.pack("<L", 2**31)),
    ],
    ids=["size-less", "size-more", "checksum", "packed-less", "packed-more", "place", "outside"],
)
def test_a_member_that_is_not_as_the_directory_says_is_damaged(content: bytes) -> None:
    (entry,) = entries(content)
    with pytest.raises(EntryError, match="damaged"):
        entry.read()


def test_a_member_unpacks_to_no_more_than_it_says() -> None:
    content = zipped({"1.jpg": bytes(10_000_000)})
    at = content.index(b"PK\1\2") + 24
    (entry,) = entries(content[:at] + struct.pack("<L", 100) + content[at + 4 :])
    with pytest.raises(EntryError):
        entry.read()


@pytest.mark.parametrize("size", [0, 1, 21, 22, 50, 200])
def test_an_archive_that_is_cut_short_has_no_directory(size: int) -> None:
    with pytest.raises(UnpackError) as error:
        find_directory(packed(zipped(FILES)[:size]))
    assert error.value.code in ("truncated", "corrupt")


def test_one_part_of_several_is_named() -> None:
    content = bytearray(zipped(FILES))
    content[content.rindex(b"PK\5\6") + 4] = 1
    with pytest.raises(UnpackError, match="one part of several"):
        find_directory(packed(bytes(content)))


def test_a_damaged_directory_is_noticed() -> None:
    content = zipped(FILES)
    at = content.rindex(b"PK\1\2")
    damaged = content[:at] + b"XX" + content[at + 2 :]
    with pytest.raises(UnpackError, match="entry 4 is no entry"):
        entries(damaged)
    shifted = bytearray(content)
    end = content.rindex(b"PK\5\6")
    shifted[end + 12 : end + 16] = struct.pack("<L", 2**31)
    with pytest.raises(UnpackError, match="damaged"):
        entries(bytes(shifted))
