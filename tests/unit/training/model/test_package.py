import gzip
import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from domain.archive import FILE_BYTES, ArchiveError, check_labels
from domain.model import MOST_LABELS, ModelCard, ModelId, Preprocessing
from infra.local.sagemaker.containers.containers import unpack as unpack_locally
from infra.models import activate
from serving import archive
from training.model.package import PackageError, pack, unpack

WEIGHTS = bytes(range(256)) * 20
CARD = ModelCard(
    name="pets",
    architecture="efficientnet_lite0",
    labels=("cat", "chien é"),
    preprocessing=Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic"),
    weights_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
)
GOOD = {"card.json": CARD.to_json().encode(), "weights.safetensors": WEIGHTS}


def tarred(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    pack(CARD, WEIGHTS, tmp_path / "model.tar.gz")
    assert unpack(tmp_path / "model.tar.gz", tmp_path / "new" / "model") == CARD
    assert {p.name: p.read_bytes() for p in (tmp_path / "new" / "model").iterdir()} == GOOD


def test_the_same_model_makes_the_same_bytes_under_any_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one.tar.gz", tmp_path / "two.tar.gz"
    pack(CARD, WEIGHTS, one)
    pack(CARD, WEIGHTS, two)
    assert one.read_bytes() == two.read_bytes()


def test_weights_that_are_not_the_cards_are_not_packed(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="other weights"):
        pack(CARD, b"other", tmp_path / "model.tar.gz")


@pytest.mark.parametrize(
    "stranger",
    [
        file("../card.json"),
        file("/etc/passwd"),
        file("./card.json"),
        file("notes.txt"),
        file("card.json"),
        link("openvino", "/", tarfile.SYMTYPE),
    ],
    ids=lambda member: member[0].name,
)
def test_anything_beside_the_two_files_is_refused(
    stranger: tuple[tarfile.TarInfo, bytes], tmp_path: Path
) -> None:
    members = [file(name, content) for name, content in GOOD.items()]
    archive = tarred(tmp_path / "model.tar.gz", *members, stranger)
    with pytest.raises(PackageError, match=r"unexpectedly|relative|segment|twice|regular"):
        unpack(archive, tmp_path / "model")
    assert not (tmp_path / "card.json").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_place_of_a_file_is_refused(kind: bytes, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    archive = tarred(tmp_path / "model.tar.gz", link("card.json", str(secret), kind))
    with pytest.raises(PackageError, match="not a regular file"):
        unpack(archive, tmp_path / "model")
    assert not list((tmp_path / "model").iterdir())


@pytest.mark.parametrize("name", ["card.json", "weights.safetensors"])
def test_a_file_that_is_too_large_is_refused_before_a_byte_of_it_is_written(
    name: str, tmp_path: Path
) -> None:
    """Its header says how large it is: to copy it first is to fill the disk."""
    header = tarfile.TarInfo(name)
    header.size = FILE_BYTES[name] + 1
    archive = tmp_path / "model.tar.gz"
    with gzip.open(archive, "wb") as stream:
        stream.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    with pytest.raises(PackageError, match=rf"{name} is larger than|with {name} it has more than"):
        unpack(archive, tmp_path / "model")
    assert not (tmp_path / "model" / name).exists()


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    left = [file(other, content) for other, content in GOOD.items() if other != name]
    with pytest.raises(PackageError, match=f"holds no {name}"):
        unpack(tarred(tmp_path / "model.tar.gz", *left), tmp_path / "model")


def test_a_card_that_is_none_is_refused(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "m.tar.gz", file("card.json"), file("weights.safetensors"))
    with pytest.raises(PackageError, match="not a model card"):
        unpack(archive, tmp_path / "model")


@pytest.mark.parametrize("keep", [0, 30, 200])
def test_a_damaged_archive_is_refused(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    pack(CARD, WEIGHTS, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PackageError):
        unpack(path, tmp_path / "model")


def of_labels(labels: tuple[str, ...]) -> ModelCard:
    return replace(CARD, labels=labels)


MANY = tuple(f"label {number:05}" for number in range(MOST_LABELS))
LONG = tuple(f"{number:04}{'é' * 450}" for number in range(4_000))


@pytest.mark.parametrize("labels", [MANY, LONG], ids=["many", "long"])
def test_a_model_of_many_labels_is_read_by_whoever_reads_a_model(
    labels: tuple[str, ...], tmp_path: Path
) -> None:
    """Trained, packed, served, unpacked as SageMaker does, and activated: one limit for all."""
    check_labels(labels)
    card, packed = of_labels(labels), tmp_path / "model.tar.gz"
    assert len(card.to_json().encode()) > 2**20
    pack(card, WEIGHTS, packed)
    assert activate.read_card(packed) == card
    assert unpack(packed, tmp_path / "evaluated") == card
    unpack_locally(packed, tmp_path / "served")
    assert archive.read(tmp_path / "served", ModelId("pets", 1, card.digest)).card == card


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ((*MANY, "one more"), "labels cannot be|more than .* values"),
        ((*LONG, *LONG), "larger than"),
        (("x" * 1001, "y"), "labels cannot be"),
        (("\ud800", "y"), "surrogate"),
    ],
    ids=["many", "large", "long", "surrogate"],
)
def test_a_model_that_nobody_could_read_is_neither_trained_nor_packed(
    labels: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveError, match=why):
        check_labels(labels)
    with pytest.raises(PackageError, match=why):
        pack(of_labels(labels), WEIGHTS, tmp_path / "model.tar.gz")
    assert not (tmp_path / "model.tar.gz").exists()
