"""Camera raw files are named as such, wherever their preview is; other TIFF files are not."""

import pytest

from serving.decoding.decode import decode
from serving.decoding.sniff import sniff
from serving.decoding.undecodable import UndecodableError
from tests.support.builders.formats.directories import Directory, file_of
from tests.support.builders.images import encoded, picture

PREVIEW = {254: 1, 256: 160, 257: 120, 258: 8, 259: 1, 262: 2, 277: 3}
JPEG_PREVIEW = PREVIEW | {259: 6}
SENSOR = Directory({254: 0, 256: 6000, 257: 4000, 258: 14, 259: 1, 262: 32_803, 277: 1})
FULL = Directory({254: 0, 256: 6000, 257: 4000, 258: 8, 259: 1, 262: 2, 277: 3})
ISO_MEDIA = b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100)

RAWS = {
    "DNG": file_of(Directory(PREVIEW | {50_706: 1}, [SENSOR])),
    "DNG of one directory": file_of(Directory({254: 0, 262: 34_892, 50_706: 1})),
    "DNG in big-endian": file_of(Directory(PREVIEW | {50_706: 1}), order=">"),
    "NEF": file_of(Directory(PREVIEW | {271: 1}, [Directory(JPEG_PREVIEW), SENSOR]), order=">"),
    "NEF by its compression": file_of(Directory(PREVIEW, [Directory({259: 34_713})])),
    "ARW": file_of(Directory(JPEG_PREVIEW, [Directory({259: 32_767})])),
    "PEF": file_of(Directory({256: 6000, 259: 65_535, 262: 1}), Directory(JPEG_PREVIEW), order=">"),
    "SRW": file_of(Directory(JPEG_PREVIEW, [Directory({259: 32_770})])),
    "DCR": file_of(Directory(PREVIEW), Directory({259: 65_000})),
    "pattern of a colour filter": file_of(Directory({254: 0, 262: 1, 33_422: 1})),
    "in the third directory": file_of(Directory({254: 0}), Directory({254: 0}), SENSOR),
    "preview by a camera": file_of(Directory(PREVIEW | {271: 1}), FULL),
    "CR2": file_of(Directory(JPEG_PREVIEW), gap=b"CR\2\0\0\0\0\0"),
    "IIQ": file_of(Directory(PREVIEW), gap=b"IIII\1waR"),
    "CR3": ISO_MEDIA,
    "CR3 with a brand of HEIF": ISO_MEDIA.replace(b"isom", b"mif1"),
    "ORF": b"IIRO" + bytes(100),
    "ORF of older cameras": b"IIRS" + bytes(100),
    "RW2": b"IIU\0" + bytes(100),
    "RAF": b"FUJIFILMCCD-RAW 0201" + bytes(100),
    "X3F": b"FOVb" + bytes(100),
    "MRW": b"\0MRM" + bytes(100),
    "CRW": b"II\x1a\0\0\0HEAPCCDR" + bytes(100),
}


@pytest.mark.parametrize("name", RAWS)
def test_a_raw_file_is_named_and_never_classified_by_its_preview(name: str) -> None:
    with pytest.raises(UndecodableError) as refusal:
        decode(RAWS[name], 50_000_000, 256)
    assert refusal.value.code == "unsupported_format"
    assert refusal.value.message.startswith("The file is a camera raw file")
    assert refusal.value.message.endswith("Develop it, save it as JPEG and send that.")


def test_a_preview_in_front_of_another_picture_is_refused() -> None:
    with pytest.raises(UndecodableError, match="a preview of another") as refusal:
        decode(file_of(Directory(PREVIEW), FULL), 50_000_000, 256)
    assert refusal.value.code == "unsupported_format"


TIFFS = {
    "of a camera": file_of(Directory(dict(FULL.tags) | {271: 1, 272: 1})),
    "with a preview behind it": file_of(FULL, Directory(PREVIEW)),
    "with a preview inside": file_of(Directory(dict(FULL.tags), [Directory(PREVIEW)])),
    "reduced, and alone": file_of(Directory(PREVIEW)),
    "of pages": file_of(FULL, FULL, FULL),
    "of directories in a circle": file_of(FULL)[:-68] + b"\x08\0\0\0" + bytes(64),
    "of Pillow": encoded(picture(), "TIFF"),
    "cut short": encoded(picture(), "TIFF")[:40],
    "without a directory": b"II*\0\xff\xff\xff\xff",
}


@pytest.mark.parametrize("name", TIFFS)
def test_other_tiff_files_are_not_taken_for_raw(name: str) -> None:
    assert sniff(TIFFS[name]) == "tiff"
