"""Tar files of every form, read forwards and from the middle."""

import io
import tarfile
from typing import Any

import pytest

from aws.bucket import Bucket
from batch.archives.entries import ArchiveEntry
from batch.archives.source import GzipStream, PackedObject, PlainStream, Stream, UnpackError
from batch.archives.tars import read_entries
from domain.result import Version
from tests.support.builders.packed import gzipped, tarred, tarred_with
from tests.support.fakes.aws import FakeS3

LONG = "day/" * 50 + "é.jpg"
FILES = {"1.jpg": b"one" * 1_000, "day/2.jpg": b"two", LONG: b"", "パンツ.jpg": b"4" * 512}
SHORT = {"1.jpg": b"one" * 1_000, "day/2.jpg": b"two", "é.jpg": b""}
FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def stream_of(content: bytes, is_packed: bool = False) -> Stream:
    s3: Any = FakeS3()
    etag = s3.put_object(Bucket="bucket", Key="inbox/a.tar", Body=content)["ETag"].strip('"')
    packed = PackedObject(Bucket(s3, "bucket"), "inbox/a.tar", Version(etag), len(content))
    return GzipStream(packed, 10**7) if is_packed else PlainStream(packed)


def contents(stream: Stream) -> list[tuple[str, bytes]]:
    entries = read_entries(stream, 0)
    return [(entry.name, entry.read()) for entry in entries if not entry.is_folder]


def problems(content: bytes) -> list[str | None]:
    return [entry.problem for entry in read_entries(stream_of(content), 0)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_packed", [False, True])
def test_files_are_read_as_they_were_packed(form: str, is_packed: bool) -> None:
    files = SHORT if form == "ustar" else FILES
    content = tarred({"a/": b"", **files}, FORMS[form])
    packed = gzipped(content) if is_packed else content
    assert contents(stream_of(packed, is_packed)) == [*files.items()]


@pytest.mark.parametrize("is_packed", [False, True])
def test_reading_goes_on_behind_any_entry(is_packed: bool) -> None:
    content = tarred(FILES, tarfile.GNU_FORMAT)
    content = gzipped(content) if is_packed else content
    whole: list[ArchiveEntry] = [*read_entries(stream_of(content, is_packed), 0)]
    for entry in whole:
        stream = stream_of(content, is_packed)
        stream.skip(entry.after)
        names = [one.name for one in read_entries(stream, entry.number + 1)]
        assert names == [one.name for one in whole[whole.index(entry) + 1 :]]


def test_what_is_skipped_in_a_plain_tar_is_not_downloaded() -> None:
    content = tarred({"large.jpg": bytes(20_000_000), "2.jpg": b"2"})
    stream = stream_of(content)
    assert isinstance(stream, PlainStream)
    s3: Any = stream.packed.bucket.client
    assert [entry.name for entry in read_entries(stream, 0)] == ["large.jpg", "2.jpg"]
    assert s3.calls["GetObject"] <= 3


def test_several_gzip_files_behind_each_other_are_one() -> None:
    content = tarred(FILES)
    packed = gzipped(content[:1_000]) + gzipped(content[1_000:])
    assert contents(stream_of(packed, is_packed=True)) == [*FILES.items()]


def test_times_that_an_incremental_archive_of_gnu_has_are_no_folder() -> None:
    """They are where POSIX has the first part of a long name."""
    header = bytearray(tarfile.TarInfo("day/1.jpg").tobuf(tarfile.GNU_FORMAT))
    header[345:357] = b"15112345670\0"
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:512]))
    assert contents(stream_of(bytes(header))) == [("day/1.jpg", b"")]


def test_global_headers_as_git_writes_them_are_passed_over() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", pax_headers={"comment": "a" * 40}) as archive:
        info = tarfile.TarInfo("1.jpg")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"1"))
    assert contents(stream_of(packed.getvalue())) == [("1.jpg", b"1")]


def test_a_name_that_is_not_utf_8_is_read_as_latin_1() -> None:
    packed = io.BytesIO()
    with tarfile.open(
        fileobj=packed, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1"
    ) as archive:
        archive.addfile(tarfile.TarInfo("ü.jpg"))
    (entry,) = read_entries(stream_of(packed.getvalue()), 0)
    assert (entry.name, entry.is_guessed) == ("ü.jpg", True)


def test_sparse_files_are_left_out_and_what_follows_is_read() -> None:
    info = tarfile.TarInfo("1.jpg")
    info.type = tarfile.GNUTYPE_SPARSE
    content = bytearray(tarred_with(info, b"data"))
    assert problems(bytes(content)) == ["a file with holes, as tar --sparse writes it", None]
    fields = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "1.jpg"}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        plain = tarfile.TarInfo("GNUSparseFile.0/1.jpg")
        plain.pax_headers = fields
        archive.addfile(plain)
    assert problems(packed.getvalue()) == ["a file with holes, as tar --sparse writes it"]


def test_the_map_of_a_sparse_file_is_skipped() -> None:
    info = tarfile.TarInfo("1.jpg")
    info.type = tarfile.GNUTYPE_SPARSE
    content = bytearray(tarred_with(info, b"data"))
    content[482] = 1  # it goes on in a block of its own
    content[148:156] = b"%06o\0 " % (sum(content[:148]) + 8 * 32 + sum(content[156:512]))
    longer = bytes(content[:512]) + bytes(512) + bytes(content[512:])
    assert problems(longer)[1:] == [None]


@pytest.mark.parametrize("at", [100, 512, 600, 1_500])
def test_an_archive_that_is_cut_short_is_noticed(at: int) -> None:
    with pytest.raises(UnpackError) as error:
        contents(stream_of(tarred(FILES, tarfile.GNU_FORMAT)[:at]))
    assert error.value.code == "truncated"


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("more", [b"", bytes(512), bytes(100)], ids=["none", "one", "a part"])
def test_an_archive_without_its_whole_end_mark_is_read(is_packed: bool, more: bytes) -> None:
    """Some programs write no zeros at the end, or one block of the two."""
    content = tarred({"1.jpg": b"1", "2.jpg": b"2" * 512}, tarfile.GNU_FORMAT)[:2_048] + more
    content = gzipped(content) if is_packed else content
    expected = [("1.jpg", b"1"), ("2.jpg", b"2" * 512)]
    assert contents(stream_of(content, is_packed)) == expected


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize("at", [513, 1_000, 1_024, 1_500])
def test_a_file_that_is_cut_in_the_middle_is_cut_short(
    is_packed: bool, is_read: bool, at: int
) -> None:
    """Also where the file is skipped, as one of 200 MB is: it ends beyond the archive's end."""
    content = tarred({"1.jpg": b"1" * 1_500}, tarfile.GNU_FORMAT)[:at]
    stream = stream_of(gzipped(content) if is_packed else content, is_packed)
    with pytest.raises(UnpackError, match="cut short"):
        [entry.read() if is_read else b"" for entry in read_entries(stream, 0)]


def test_an_archive_that_ends_behind_a_header_of_its_next_file_is_cut_short() -> None:
    content = tarred({"1.jpg": b"1", "long" * 50: b"2"}, tarfile.GNU_FORMAT)
    with pytest.raises(UnpackError, match="cut short"):
        contents(stream_of(content[: 512 * 4]))


def test_zeros_after_the_end_of_a_gzip_file_are_padding() -> None:
    """As tapes and disks write them, and gzip itself ignores."""
    content = gzipped(tarred(FILES))
    assert contents(stream_of(content + bytes(10_000), is_packed=True)) == [*FILES.items()]
    half = gzipped(tarred(FILES)[:1_000]) + bytes(100) + gzipped(tarred(FILES)[1_000:])
    assert contents(stream_of(half, is_packed=True)) == [*FILES.items()]
    with pytest.raises(UnpackError, match="zeros"):
        contents(stream_of(content + bytes(2_000_000), is_packed=True))
    with pytest.raises(UnpackError, match="not readable as gzip"):
        contents(stream_of(content + bytes(100) + b"more", is_packed=True))


def test_folders_and_global_headers_are_counted() -> None:
    content = tarred({"a/": b"", "a/b/": b"", "a/1.jpg": b"1"})
    found = [(one.number, one.is_folder) for one in read_entries(stream_of(content), 0)]
    assert found == [(0, True), (1, True), (2, False)]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, b"X", tarfile.GNUTYPE_LONGNAME, b"K"])
def test_an_entry_has_a_few_headers_and_no_more(kind: bytes) -> None:
    """A million of them would be read in one step, and none would be an entry."""
    info = tarfile.TarInfo("headers")
    info.type = kind
    header = tarred_with(info, b"11 path=ab\n")[:1_024]
    file = tarred({"1.jpg": b"1"}, tarfile.GNU_FORMAT)
    assert [content for _, content in contents(stream_of(header * 4 + file))] == [b"1"]
    with pytest.raises(UnpackError, match="more than 4 headers"):
        contents(stream_of(header * 5 + file))


def test_the_map_of_a_sparse_file_is_bounded() -> None:
    info = tarfile.TarInfo("1.jpg")
    info.type = tarfile.GNUTYPE_SPARSE
    content = bytearray(tarred_with(info, b"data"))
    content[482] = 1
    content[148:156] = b"%06o\0 " % (sum(content[:148]) + 8 * 32 + sum(content[156:512]))
    endless = bytes(content[:512]) + (bytes(504) + b"\1" + bytes(7)) * 10_001
    with pytest.raises(UnpackError, match="too many holes"):
        problems(endless)


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE])
def test_the_size_of_a_link_or_a_folder_is_that_of_nothing_which_follows(kind: bytes) -> None:
    info = tarfile.TarInfo("1.jpg")
    info.type, info.size = kind, 5_000
    content = info.tobuf(tarfile.GNU_FORMAT) + tarred({"2.jpg": b"2"}, tarfile.GNU_FORMAT)
    names = [one.name.rstrip("/") for one in read_entries(stream_of(content), 0)]
    assert names == ["1.jpg", "2.jpg"]


@pytest.mark.parametrize("size", [8**11, 2**70], ids=["8 GB", "2**70"])
def test_sizes_in_base_256_are_read(size: int) -> None:
    info = tarfile.TarInfo("1.jpg")
    info.size = size
    with pytest.raises(UnpackError, match="cut short"):
        [entry.size for entry in read_entries(stream_of(info.tobuf(tarfile.GNU_FORMAT)), 0)]


@pytest.mark.parametrize(
    "record",
    [b"99 path=x\n", b"path=x\n", b"9 path=x", b"12 size=two\n", b"30 size=" + b"9" * 21 + b"\n"],
    ids=["length-more", "no-length", "no-end", "size-word", "size-long"],
)
def test_malformed_pax_headers_are_noticed(record: bytes) -> None:
    info = tarfile.TarInfo("headers")
    info.type = tarfile.XHDTYPE
    with pytest.raises(UnpackError, match="pax header"):
        contents(stream_of(tarred_with(info, record)))


def test_a_header_of_many_fields_is_not_read() -> None:
    info = tarfile.TarInfo("headers")
    info.type = tarfile.XHDTYPE
    with pytest.raises(UnpackError, match="more than 10,000 fields"):
        contents(stream_of(tarred_with(info, b"5 a=\n" * 10_001)))


def test_a_header_of_many_bytes_is_not_read() -> None:
    info = tarfile.TarInfo("headers")
    info.type = tarfile.XHDTYPE
    with pytest.raises(UnpackError, match="header of 2,000,000 bytes"):
        contents(stream_of(tarred_with(info, bytes(2_000_000))))


def test_a_wrong_checksum_of_gzip_is_noticed_at_the_end() -> None:
    content = bytearray(gzipped(tarred(FILES)))
    content[-8] ^= 1
    with pytest.raises(UnpackError) as error:
        contents(stream_of(bytes(content), is_packed=True))
    assert error.value.code == "corrupt"


def test_gzip_unpacks_to_no_more_than_is_allowed() -> None:
    with pytest.raises(UnpackError) as error:
        contents(stream_of(gzipped(tarred({"1.bmp": bytes(11_000_000)})), is_packed=True))
    assert error.value.code == "too_large"
