"""Zip files as programs write them, and as no program should."""

import io
import struct
import zipfile
import zlib
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


def test_folders_are_no_entries_and_are_counted() -> None:
    content = zipped({"a/": b"", "a/b/": b"", "a/1.jpg": b"1"})
    assert [(entry.number, entry.name) for entry in entries(content)] == [(2, "a/1.jpg")]


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


def as_zip64(content: bytes) -> bytes:
    """The directory's numbers in the records of zip64, as archives beyond 4 GB have them."""
    at = content.rindex(b"PK\5\6")
    count, size, first = struct.unpack_from("<HLL", content, at + 10)
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, first)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    old = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return content[:at] + end + locator + old


def renamed(raw: bytes, extra: bytes = b"") -> bytes:
    """An archive of one file whose name has these bytes, without the flag of UTF-8."""
    info = zipfile.ZipInfo("x" * len(raw), WHEN)
    info.extra = extra
    return zipped_with(info, b"1").replace(b"x" * len(raw), raw)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("ü.jpg".encode("cp437"), "ü.jpg"),
        ("ü.jpg".encode(), "ü.jpg"),
        (b"day\\1.jpg", "day/1.jpg"),
        (b"day/a\\b.jpg", "day/a\\b.jpg"),
    ],
)
def test_names_in_other_encodings_are_read(raw: bytes, name: str) -> None:
    assert contents(renamed(raw)) == {name: b"1", "2.jpg": b"2"}


def test_the_name_in_an_extra_field_counts_if_it_is_of_this_name() -> None:
    raw, name = b"\xfc.jpg", "パンツ.jpg".encode()
    for checksum, right in ((zlib.crc32(raw), "パンツ.jpg"), (1, raw.decode("cp437"))):
        field = struct.pack("<BL", 1, checksum) + name
        extra = struct.pack("<2H", 0x7075, len(field)) + field
        assert contents(renamed(raw, extra)) == {right: b"1", "2.jpg": b"2"}


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
