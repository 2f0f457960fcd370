"""Corrections join the data that a model was trained on, and its test images stay as they are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cli.__main__ import sortbox
from domain.ignored.names import CORRECTIONS_RECORD, DATASET_MANIFEST
from training.config.errors import TrainingFailed
from training.data import join as joining
from training.data.dataset import Dataset, prepare
from training.data.join import Joined


def picture(path: Path, seed: int) -> Path:
    """An image that differs from those of other seeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path, "PNG")
    return path


def nothing() -> None:
    """No interrupt."""


def loaded(folder: Path) -> Dataset:
    return prepare(folder, False, 0.05, nothing)


def contents(folder: Path, split: str) -> dict[str, set[bytes]]:
    return {
        label.name: {path.read_bytes() for path in label.rglob("*") if path.is_file()}
        for label in (folder / split).iterdir()
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve images of two classes, without splits."""
    for label, start in (("cat", 0), ("dog", 100)):
        for number in range(12):
            picture(tmp_path / "photos" / label / f"IMG_{number}.png", start + number)
    return tmp_path / "photos"


def join(data: Path, reviewed: Path) -> tuple[Path, Joined]:
    out = joining.next_folder(data)
    joined = joining.join(data, reviewed, nothing)
    joining.write(joined, out, lambda done, of: None)
    return out, joined


def test_a_class_called_like_its_split_lies_no_deeper_in_each_version(tmp_path: Path) -> None:
    names = [f"{split}/{label}" for split in ("train", "validation", "test")
             for label in ("train", "bus")]  # fmt: skip
    for number, name in enumerate(names):
        picture(tmp_path / "photos" / name / "1.png", number)
    first, _ = join(tmp_path / "photos", picture(tmp_path / "a/bus/2.png", 50).parents[1])
    second, _ = join(first, picture(tmp_path / "b/%74rain/3.png", 51).parents[1])
    paths = {path.relative_to(second).as_posix() for path in second.rglob("*.png")}
    assert {path.count("/") for path in paths} == {2}, paths


def held_out(data: Path, split: str = "test") -> tuple[str, Path]:
    """An image of a split that is held out, with its label."""
    dataset = loaded(data)
    example = dataset.splits[split][0]
    return dataset.labels[example.label], dataset.root / example.path


def test_corrections_go_to_train_and_the_rest_stays(data: Path, tmp_path: Path) -> None:
    picture(tmp_path / "review/cat/IMG_0.png", 500)  # another image of that name
    picture(tmp_path / "review/dog/trip/x.png", 501)
    before = loaded(data)
    out, joined = join(data, tmp_path / "review")
    after = loaded(out)
    assert out.name == "photos-v2"
    assert (joined.added, joined.known, joined.relabelled) == (2, 0, 0)
    for split in ("validation", "test"):
        digests = [{example.digest for example in one.splits[split]} for one in (before, after)]
        assert digests[0] == digests[1]
    assert len(after.splits["train"]) == len(before.splits["train"]) + 2
    names = {path.name for path in (out / "train/cat").iterdir()}
    assert "IMG_0.png" in names or "IMG_0.png" in {p.name for p in (out / "test/cat").iterdir()}
    assert (out / "train/dog/trip/x.png").is_file()
    assert len(contents(out, "train")["cat"]) == len(contents(data, ".")["cat"]) - 4 + 1


def test_the_version_and_the_fingerprint_are_those_that_training_computes(
    data: Path, tmp_path: Path
) -> None:
    before = loaded(data).fingerprint
    picture(tmp_path / "review/cat/a.png", 500)
    out, joined = join(data, tmp_path / "review")
    manifest = json.loads((out / DATASET_MANIFEST).read_text())
    assert (manifest["version"], manifest["parent"]) == (2, before)
    assert manifest["fingerprint"] == joined.fingerprint == loaded(out).fingerprint
    picture(tmp_path / "more/dog/b.png", 501)
    third, _ = join(out, tmp_path / "more")
    manifest = json.loads((third / DATASET_MANIFEST).read_text())
    assert third.name == "photos-v3"
    assert (manifest["version"], manifest["parent"]) == (3, joined.fingerprint)
    assert contents(third, "test") == contents(out, "test")


def test_growing_data_would_move_the_test_images_without_join(data: Path, tmp_path: Path) -> None:
    """Why the splits are written out: they are a share of the data."""
    for number in range(30):
        picture(tmp_path / "review/cat" / f"{number}.png", 500 + number)
    out, _ = join(data, tmp_path / "review")
    shutil.copytree(tmp_path / "review/cat", data / "cat/more")
    assert len(loaded(data).splits["test"]) > len(loaded(out).splits["test"])


@pytest.mark.parametrize("split", ["test", "validation"])
def test_an_image_that_is_held_out_is_not_taken(split: str, data: Path, tmp_path: Path) -> None:
    label, path = held_out(data, split)
    other = {"cat": "dog", "dog": "cat"}[label]
    (tmp_path / "review" / other).mkdir(parents=True)
    shutil.copy(path, tmp_path / "review" / other / "renamed.png")
    picture(tmp_path / "review" / label / "new.png", 500)
    out, joined = join(data, tmp_path / "review")
    assert joined.held_out == [str(tmp_path / "review" / other / "renamed.png")]
    assert joined.added == 1
    body = path.read_bytes()
    assert all(body not in images for images in contents(out, "train").values())
    assert body in contents(out, split)[label]


def test_a_correction_of_a_training_image_replaces_its_label(data: Path, tmp_path: Path) -> None:
    label, path = held_out(data, "train")
    other = {"cat": "dog", "dog": "cat"}[label]
    for folder in (other, other):
        (tmp_path / "review" / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "review" / folder / path.name)
    out, joined = join(data, tmp_path / "review")
    assert (joined.relabelled, joined.added) == (1, 0)
    body, train = path.read_bytes(), contents(out, "train")
    assert body in train[other]
    assert body not in train[label]
    again = joining.join(out, tmp_path / "review", nothing)
    assert (again.known, again.relabelled) == (1, 0)


def test_a_new_class_gets_images_in_every_split(data: Path, tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / "review/emu" / f"{number}.png", 500 + number)
    out, _ = join(data, tmp_path / "review")
    after = loaded(out)
    assert after.labels == ("cat", "dog", "emu")
    for split in ("train", "validation", "test"):
        assert len(contents(out, split)["emu"]) == 1
    assert {len(images) for images in contents(out, "test").values()} == {2, 1}


def digests(dataset: Dataset, split: str) -> set[str]:
    return {example.digest for example in dataset.splits[split]}


def test_data_without_test_get_one_that_later_versions_keep(data: Path, tmp_path: Path) -> None:
    for label, start in (("cat", 200), ("dog", 300)):
        shutil.move(data / label, data / "train" / label)
        for number in range(3):
            picture(data / "validation" / label / f"{number}.png", start + number)
    tests = []
    for number in range(3):
        for seed in range(10):
            name = f"review-{number}/cat/{seed}.png"
            picture(tmp_path / name, 500 + 10 * number + seed)
        data, _ = join(data, tmp_path / f"review-{number}")
        version = prepare(data, True, 0.05, nothing)
        tests.append(digests(version, "test"))
        assert tests[0].isdisjoint(digests(version, "train"))
    assert tests[0] == tests[1] == tests[2]


def test_an_image_that_is_twice_in_a_new_class_is_in_one_split(data: Path, tmp_path: Path) -> None:
    for number in range(12):
        shutil.copy(data / f"cat/IMG_{number}.png", data / f"cat/copy_{number}.png")
    own = loaded(data)
    held = digests(own, "validation") | digests(own, "test")
    corrected = {one.digest: one for one in own.splits["train"] if one.digest not in held}
    for example in [one for one in corrected.values() if own.labels[one.label] == "cat"][:4]:
        target = tmp_path / "review/emu" / Path(example.path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(own.root / example.path, target)
    for number in range(3):
        picture(tmp_path / "review/emu" / f"{number}.png", 500 + number)
    out, joined = join(data, tmp_path / "review")
    assert joined.relabelled == 4
    splits = [contents(out, split)["emu"] for split in ("train", "validation", "test")]
    assert sum(map(len, splits)) == len(set.union(*splits)) == 7


def test_data_that_training_took_with_unreadable_images_are_joined(
    data: Path, tmp_path: Path
) -> None:
    for number in range(6):
        (data / f"cat/broken-{number}.png").write_bytes(b"no image")
    picture(tmp_path / "review/dog/new.png", 500)
    _, joined = join(data, tmp_path / "review")
    assert joined.added == 1
    assert len(joined.unreadable) == 6


@pytest.mark.parametrize(
    ("images", "why"),
    [
        ({"emu/a.png": 1}, "The new class 'emu' has 1 image, and needs 3 or more"),
        ({"emu/a.png": 1, "emu/b.png": 2}, "The new class 'emu' has 2 images, and needs 3 or more"),
        ({"cat/a.png": 1, "dog/b.png": 1}, "are one image in two classes: remove one"),
        ({"train/cat/a.png": 1, "test/cat/a.png": 2}, "has splits: corrections are a folder"),
        ({"dog/trip/a.png": 1, "dog/trip/b.png": 2}, "has one folder, with folders in it"),
        ({"a.png": 1}, "needs a folder per class"),
    ],
    ids=["one", "few", "twice", "splits", "nested", "flat"],
)
def test_what_cannot_be_joined_is_refused(
    images: dict[str, int], why: str, data: Path, tmp_path: Path
) -> None:
    for name, seed in images.items():
        picture(tmp_path / "review" / name, 500 + seed)
    with pytest.raises(TrainingFailed, match=why):
        join(data, tmp_path / "review")
    assert not (tmp_path / "photos-v2").exists()


def test_a_class_that_loses_all_its_training_images_is_refused(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "dog", tmp_path / "review/cat")
    with pytest.raises(TrainingFailed, match="leave no image of dog in train"):
        join(data, tmp_path / "review")


def test_unreadable_corrections_are_counted(data: Path, tmp_path: Path) -> None:
    picture(tmp_path / "review/cat/a.png", 500)
    (tmp_path / "review/cat/b.png").write_bytes(b"no image")
    (tmp_path / "review/notes.txt").write_text("beside the classes")
    (data / "cat/Thumbs.db").write_bytes(b"a system's")
    _, joined = join(data, tmp_path / "review")
    assert (joined.added, len(joined.unreadable)) == (1, 1)
    assert [sentence for sentence in joined.sentences() if sentence.startswith("not used")] == [
        "not used: 1 file (Windows: thumbnails), such as cat/Thumbs.db",
        "not used: 1 file (beside the folders), such as notes.txt",
    ]
    assert any(
        "Left out as unreadable: 1, cat/b.png" in sentence for sentence in joined.sentences()
    )


def test_nothing_is_overwritten_and_nothing_is_left_half_done(data: Path, tmp_path: Path) -> None:
    picture(tmp_path / "review/cat/a.png", 500)
    out, joined = join(data, tmp_path / "review")
    with pytest.raises(TrainingFailed, match="exists: join to it"):
        joining.write(joined, out, lambda done, of: None)

    def interrupt(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        joining.write(joined, tmp_path / "other", interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "photos-v2", "review"]


def test_the_command_says_what_it_did_and_what_comes_next(data: Path, tmp_path: Path) -> None:
    label, path = held_out(data)
    picture(tmp_path / "review" / label / "new.png", 500)
    shutil.copy(path, tmp_path / "review" / label / "of-test.png")
    out = tmp_path / "photos v2"
    result = CliRunner().invoke(
        sortbox, ["join", str(data), str(tmp_path / "review"), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "Version 2: 17 train, 4 validation, 4 test images of 2 classes." in words
    assert "New images: 1; with another class than before: 0; there already: 0." in words
    assert "Left out, because they are in validation or test: 1, " in words
    assert f"next: ./sortbox train '{out}'" in words
    inside = CliRunner().invoke(
        sortbox, ["join", str(data), str(tmp_path / "review"), "--out", str(data / "v2")]
    )
    assert inside.exit_code == 2
    assert "is inside" in inside.output


def test_a_version_records_its_corrections_and_that_its_test_is_frozen(
    data: Path, tmp_path: Path
) -> None:
    rows = [
        {"folder": "inbox/", "count": count, "newest": newest, "digest": "0" * 64}
        | {"held": "AAAAAAAA", "left_out": 0}
        for count, newest in (
            (1, "20261128T120000.000-0000000000000001"),
            (2, "20261129T120000.000-0000000000000002"),
        )
    ]
    for name, row in zip(("a", "b"), rows, strict=True):
        picture(tmp_path / name / "cat" / f"{name}.png", ord(name) + 500)
        (tmp_path / name / CORRECTIONS_RECORD).write_text(json.dumps({"corrections": [row]}))
    for number in range(4):
        picture(tmp_path / "other/owl" / f"{number}.png", 700 + number)
    second, _ = join(data, tmp_path / "a")
    third, _ = join(second, tmp_path / "b")
    fourth, _ = join(third, tmp_path / "other")
    manifests = [
        json.loads((folder / DATASET_MANIFEST).read_text()) for folder in (second, third, fourth)
    ]
    assert [one["corrections"] for one in manifests] == [[rows[0]], [rows[1]], [rows[1]]]
    assert [one["test"]["is_frozen"] for one in manifests] == [True, True, False], "owls joined it"
    assert manifests[0]["test"] == manifests[1]["test"]
    assert [one["source"] for one in manifests] == ["photos", "photos-v2", "photos-v3"]


def test_a_version_counts_the_corrections_of_its_test_images(data: Path, tmp_path: Path) -> None:
    row = {"folder": "inbox/", "count": 2, "newest": "20261128T120000.000-0000000000000001"}
    picture(tmp_path / "a/cat/new.png", 500)
    second, _ = join(data, tmp_path / "a")
    of_test = next((second / "test" / "cat").iterdir())
    (tmp_path / "a/cat/known.png").write_bytes(of_test.read_bytes())
    record = json.dumps({"corrections": [row | {"digest": "0" * 64}]})
    (tmp_path / "a" / CORRECTIONS_RECORD).write_text(record)
    third, _ = join(second, tmp_path / "a")
    [covered] = json.loads((third / DATASET_MANIFEST).read_text())["corrections"]
    assert (covered["left_out"], covered["held"]) == (1, "")


def test_a_damaged_record_of_corrections_is_an_error(data: Path, tmp_path: Path) -> None:
    picture(tmp_path / "a/cat/a.png", 500)
    (tmp_path / "a" / CORRECTIONS_RECORD).write_text('{"corrections": [1]}')
    with pytest.raises(TrainingFailed, match="Remove it to start over"):
        joining.join(data, tmp_path / "a", nothing)
