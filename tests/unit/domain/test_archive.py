"""A stranger's model.tar.gz costs little memory, time and disk, and is refused with a sentence."""

import gzip
import io
import json
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import archive
from domain.archive import ArchiveError, members, read_card, read_model
from domain.model import MOST_LABELS, ModelCard, Preprocessing

CARD = ModelCard(
    name="pets",
    architecture="efficientnet_lite0",
    labels=("cat", "dog"),
    preprocessing=Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    weights_sha256="0" * 64,
)
GOOD = {"card.json": CARD.to_json().encode(), "weights.safetensors": b"weights"}
MEMORY_BYTES = 24 * 2**20
END = bytes(1024)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """One block that says what no writer would say."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)[-512:]


def entry(name: str, content: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    return header(name, len(content), kind) + content + bytes(-len(content) % 512)


def whole(files: dict[str, bytes]) -> bytes:
    return b"".join(entry(name, content) for name, content in files.items()) + END


def walked(packed: bytes) -> dict[str, bytes]:
    found = members(io.BytesIO(packed), len(packed))
    return {member.name: b"".join(content) for member, content in found}


def measured(packed: bytes) -> tuple[str, int, int]:
    """Why it is refused (empty: it is not), the peak of memory, and how much would be written."""
    written = 0
    tracemalloc.start()
    try:
        for _, content in members(io.BytesIO(packed), len(packed)):
            for piece in content:
                written += len(piece)
        return "", tracemalloc.get_traced_memory()[1], written
    except ArchiveError as error:
        return str(error), tracemalloc.get_traced_memory()[1], written
    finally:
        tracemalloc.stop()


def zeros(head: bytes, megabytes: int) -> bytes:
    """gzip of a head and so many megabytes of zeros, without holding them."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(head)]
    parts += [packer.compress(bytes(2**20)) for _ in range(megabytes)]
    return b"".join(parts) + packer.flush()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_every_tar_writes_is_read(form: int) -> None:
    packed, long = io.BytesIO(), 30 * "a long name/" + "é"
    with tarfile.open(fileobj=packed, mode="w:gz", format=form) as tar:
        folder = tarfile.TarInfo("./")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in ("./card.json", "openvino/model.xml", *([long] if form else [])):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 5, 1.5  # PAX writes a header for a fraction of a second
            tar.addfile(info, io.BytesIO(b"hello"))
    expected = {"card.json", "openvino/model.xml", *([long] if form else [])}
    assert walked(packed.getvalue()) == dict.fromkeys(expected, b"hello")


def test_some_zeros_may_follow_the_end_of_a_gzip_file_and_nothing_else() -> None:
    data = gzip.compress(whole(GOOD))
    assert walked(data + bytes(10_000)) == walked(data)
    with pytest.raises(ArchiveError, match="too many zeros"):
        walked(data + bytes(3 * 2**20))
    with pytest.raises(ArchiveError, match="not readable as gzip"):
        walked(data + bytes(10) + b"more")


def test_several_gzip_files_one_after_another_are_one() -> None:
    data = whole(GOOD)
    packed = b"".join(gzip.compress(data[at : at + 700]) for at in range(0, len(data), 700))
    assert walked(packed) == GOOD


HEADERS = {"GNU long name": b"L", "GNU long link": b"K", "pax": b"x", "pax for all": b"g"}


@pytest.mark.parametrize("kind", HEADERS.values(), ids=HEADERS.keys())
def test_a_name_of_a_gigabyte_is_refused_before_it_is_read(kind: bytes) -> None:
    why, memory, _ = measured(zeros(header("././@LongLink", 2**30, kind), 64))
    assert why
    assert memory < MEMORY_BYTES


@pytest.mark.parametrize("kind", [b"L", b"x"])
def test_many_extended_headers_are_refused(kind: bytes) -> None:
    body = entry("x", 60_000 * b"a" if kind == b"L" else 5_000 * b"12 comment=\n", kind)
    why, memory, _ = measured(gzip.compress(80 * body))
    assert "extended headers" in why
    assert memory < MEMORY_BYTES


def test_more_entries_than_any_model_has_are_refused() -> None:
    packed = gzip.compress(20_000 * header("a", 0, tarfile.DIRTYPE))
    assert "entries" in measured(packed)[0]


@pytest.mark.parametrize(
    "kind",
    [
        *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
        *(tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"D", b"M", b"V", b"N", b"A", b"\xff"),
    ],
)
def test_anything_but_a_regular_file_is_refused(kind: bytes) -> None:
    why, _, written = measured(gzip.compress(header("weights.safetensors", 7 * 2**30, kind)))
    assert "not a regular file" in why
    assert written == 0


@pytest.mark.parametrize(
    "record",
    ["GNU.sparse.realsize=7000000000", "GNU.sparse.major=1", "GNU.sparse.map=0,1", "size=1"],
)
def test_a_pax_header_makes_no_holes_and_no_other_size(record: str) -> None:
    size = len(record) + 4
    body = f"{size} {record}\n".encode()
    why, _, written = measured(
        gzip.compress(entry("x", body, tarfile.XHDTYPE) + entry("weights.safetensors", b"x") + END)
    )
    assert "holes" in why
    assert written == 0


@pytest.mark.parametrize(
    "body", [b"9999999 path=a\n", b"0 path=a\n", b"-5 path=a\n", b"path=a\n", b"11 path=a\n", b" "]
)
def test_a_pax_header_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ArchiveError, match="pax header"):
        walked(gzip.compress(entry("x", body, tarfile.XHDTYPE) + whole(GOOD)))


def test_a_bomb_is_refused_before_it_is_written() -> None:
    packed = zeros(header("weights.safetensors", 2**30), 1)
    why, memory, written = measured(packed)
    assert "too much for an archive of" in why
    assert (written, memory < MEMORY_BYTES) == (0, True)


def test_what_an_archive_unpacks_to_is_bounded_by_its_size() -> None:
    files = b"".join(entry(f"f{number}", bytes(2**20)) for number in range(300))
    packed = gzip.compress(files, 9)
    why, memory, written = measured(packed)
    assert "too much" in why
    assert written <= archive.SLACK_BYTES + archive.EXPANSION * len(packed)
    assert memory < MEMORY_BYTES


@pytest.mark.parametrize(
    "size", [10, 513, 2**30 // 8, -1], ids=["short", "block", "huge", "negative"]
)
def test_a_size_that_the_content_has_not_is_refused(size: int) -> None:
    block = bytearray(header("a", max(size, 0)))
    if size < 0:  # base 256, as GNU writes what octal cannot hold
        block[124:136] = (256**12 + size).to_bytes(12)
        block[148:156] = b" " * 8
        block[148:156] = f"{sum(block):06o}\0 ".encode()
    with pytest.raises(ArchiveError, match=r"cut short|negative|tar"):
        walked(gzip.compress(bytes(block) + b"x"))


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("a", "a"), "twice"),
        (("a", "./a"), "twice"),
        (("a", "A"), "twice"),
        (("é", "e\u0301"), "twice"),
        (("a", "a/b"), "folder"),
        (("a/b", "a"), "folder"),
        (("A/b", "a"), "folder"),
        (("../a",), "segment"),
        (("a/../../b",), "segment"),
        (("a//b",), "segment"),
        (("./",), "relative"),
        (("/etc/passwd",), "relative"),
        (("a\\..\\b",), "backslash"),
        (("C:\\a",), "backslash"),
        (("a\nb",), "control"),
        (("a\x1b[2J",), "control"),
        (("a\x9b",), "control"),
    ],
)
def test_names_stay_below_their_folder_and_apart(names: tuple[str, ...], why: str) -> None:
    data = b"".join(entry(name, b"x") for name in names) + END
    with pytest.raises(ArchiveError, match=why) as refused:
        walked(gzip.compress(data))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1024],
        lambda data: data[:700],
        lambda data: data + b"more",
        lambda data: data + data,
        lambda data: data + bytes(2 * 2**20),
        lambda data: b"",
    ],
    ids=["no end", "cut", "text after it", "another after it", "zeros after it", "nothing"],
)
def test_an_end_is_there_and_nothing_follows(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ArchiveError, match=r"cut short|follows"):
        walked(gzip.compress(spoil(whole(GOOD))))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda packed: packed + b"garbage",
        lambda packed: packed[:-4],
        lambda packed: packed[:-8] + b"checksum",
        lambda packed: b"",
        lambda packed: b"PK\3\4" + packed,
        lambda packed: packed + 11_000 * gzip.compress(b""),
    ],
    ids=["garbage", "no length", "checksum", "nothing", "zip", "many"],
)
def test_what_is_no_gzip_to_its_end_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ArchiveError):
        walked(spoil(gzip.compress(whole(GOOD))))


@given(st.integers(0, 4000), st.integers(0, 255))
def test_a_damaged_archive_is_refused_or_read(at: int, value: int) -> None:
    data = bytearray(whole(GOOD))
    data[at % len(data)] = value
    why, _, written = measured(gzip.compress(bytes(data)))
    assert why.isprintable()
    assert written <= len(data)


def test_a_model_is_its_card_and_what_the_card_names() -> None:
    found: dict[str, bytes] = {}
    packed = gzip.compress(whole(GOOD))

    def write(name: str, content: archive.Content) -> None:
        found[name] = b"".join(content)

    assert read_model(io.BytesIO(packed), len(packed), write) == CARD
    assert found == GOOD


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"card.json": GOOD["card.json"]}, "holds no weights"),
        ({"weights.safetensors": b""}, "holds no card"),
        (GOOD | {"openvino/model.xml": b"<net/>"}, "other files"),
        (GOOD | {"openvino/model.xml": b"", "openvino/model.bin": b""}, "other files"),
        (GOOD | {"openvino/plugins.xml": b""}, "unexpectedly"),
        (GOOD | {"code/inference.py": b""}, "unexpectedly"),
        (GOOD | {"card.json": b" " * (archive.FILE_BYTES["card.json"] + 1)}, "larger"),
    ],
)
def test_a_model_holds_nothing_else(files: dict[str, bytes], why: str) -> None:
    packed = gzip.compress(whole(files))
    with pytest.raises(ArchiveError, match=why):
        read_model(io.BytesIO(packed), len(packed), lambda name, content: None)


FIELDS = json.loads(CARD.to_json())
NESTED = '{"a":' * 200_000


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        NESTED,
        CARD.to_json().replace('"cat"', "[" * 50_000 + "]" * 50_000),
        CARD.to_json().replace("224", "NaN"),
        CARD.to_json().replace("0.5", "Infinity", 1),
        CARD.to_json().replace("0.5", "1e999", 1),
        CARD.to_json().replace("224", "9" * 5000),
        CARD.to_json().replace("224", "9" * 300),
        CARD.to_json().replace('"name"', '"labels": ["x"], "name"'),
        CARD.to_json().replace('"cat"', '"\\ud800"'),
        "null",
        '"card"',
        "3",
    ],
    ids=range(13),
)
def test_json_that_no_card_is_written_in_is_refused(text: str) -> None:
    with pytest.raises(ArchiveError, match="not a model card"):
        read_card(text.encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "../../other"),
        ("name", "UPPER"),
        ("name", ""),
        ("name", 3),
        ("name", ["pets"]),
        ("architecture", "../resnet"),
        ("architecture", None),
        ("labels", []),
        ("labels", "cat"),
        ("labels", {"cat": 1}),
        ("labels", [1, 2]),
        ("labels", [["cat"]]),
        ("labels", ["x" * 1001]),
        ("labels", ["x"] * 100_001),
        ("preprocessing", []),
        ("preprocessing", FIELDS["preprocessing"] | {"crop": "224"}),
        ("preprocessing", FIELDS["preprocessing"] | {"crop": 1.5}),
        ("preprocessing", FIELDS["preprocessing"] | {"crop": True}),
        ("preprocessing", FIELDS["preprocessing"] | {"mean": "000"}),
        ("preprocessing", FIELDS["preprocessing"] | {"std": [None, 1, 1]}),
        ("preprocessing", FIELDS["preprocessing"] | {"interpolation": 1}),
        ("preprocessing", FIELDS["preprocessing"] | {"__class__": 1}),
        ("weights_sha256", "x"),
        ("metrics", []),
        ("metrics", {"accuracy": "1"}),
        ("provenance", {"dataset": 1}),
        ("provenance", "x"),
        ("openvino", {}),
        ("openvino", []),
        ("openvino", {"precision": "int4", "files": {}, "verdicts": []}),
        ("openvino", {"precision": "int8", "files": {"../x": "y"}, "verdicts": []}),
        ("openvino", {"precision": "int8", "files": {}, "verdicts": [{}]}),
        ("openvino", {"precision": "int8", "files": {}, "verdicts": "x"}),
        ("unknown", 1),
    ],
)
def test_a_card_with_a_field_of_another_kind_is_refused(name: str, value: object) -> None:
    with pytest.raises(ArchiveError, match="not a model card") as refused:
        read_card(json.dumps(FIELDS | {name: value}).encode())
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("value", [b"[],", b"{},", b"1.5,", b'"ab",'])
def test_a_card_of_more_values_than_any_model_has_is_refused_before_it_is_parsed(
    value: bytes,
) -> None:
    """Of empty lists, one of 4 MB took 90 MB."""
    content = b"[" + value * (archive.FILE_BYTES[archive.CARD] // len(value) - 2) + b"1]"
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="more than 110,000 values"):
            read_card(content)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES
    finally:
        tracemalloc.stop()


def test_a_card_may_have_as_many_labels_as_are_allowed_whatever_is_in_them() -> None:
    labels = tuple(f'[{{"{number}\\", ' for number in range(MOST_LABELS))
    card = ModelCard("pets", "resnet18", labels, CARD.preprocessing, "0" * 64)
    assert read_card(card.to_json().encode()).labels == labels
