"""What `./sortbox data check` finds in a folder, what it writes, and how it ends."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cli.__main__ import sortbox
from domain.tables.reader import TableError
from tests.support.builders import learnable
from tests.support.data_sets import scenes
from training.config.errors import TrainingFailed
from training.findings import finding
from training.findings.check import check, load
from training.findings.finding import COLUMNS, KINDS, DataFinding

REPOSITORY = Path(__file__).parents[4]
CLOTHING = REPOSITORY.parent / "shared" / "data" / "clothing"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return scenes.folder(tmp_path / "photos", 6)


def findings_of(folder: Path) -> list[DataFinding]:
    return check(load(folder, lambda: None), lambda step, done, of: None)


def apart_from_content(folder: Path) -> list[DataFinding]:
    """Where a few pictures are planted that resemble no class, their labels are in doubt too."""
    return [one for one in findings_of(folder) if one.finding not in ("label_error", "outlier")]


def of_kind(findings: list[DataFinding], kind: str) -> list[DataFinding]:
    return [one for one in findings if one.finding == kind]


def run(*words: str) -> Result:
    return CliRunner().invoke(sortbox, ["data", "check", *words])


def generated(root: Path) -> Path:
    return scenes.folder(root, 16)


def photographs(root: Path) -> Path:
    """Some of clothing; a data set may consist of links to files."""
    if not CLOTHING.is_dir():
        pytest.skip("the photographs of clothing are not beside this folder")
    for split in ("train", "validation"):
        for folder in sorted((CLOTHING / split).iterdir()):
            (root / split / folder.name).mkdir(parents=True)
            for path in sorted(folder.iterdir())[:12]:
                (root / split / folder.name / path.name).symlink_to(path)
    return root


@pytest.mark.parametrize("make", [generated, photographs])
def test_every_copy_in_another_split_is_a_leak(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    """A copy of a test image in train makes the accuracy a lie."""
    root = make(tmp_path / "photos")
    before = {one.path for one in of_kind(findings_of(root), "leak")}
    planted: dict[str, str] = {}
    held_out = [
        path for split in ("validation", "test") for path in sorted(root.glob(f"{split}/*/*"))
    ]
    for number, path in enumerate(held_out):
        kind = scenes.COPIES[number % len(scenes.COPIES)]
        with Image.open(path) as image:
            body = scenes.encode(scenes.copy(image.convert("RGB"), kind), 40)
        target = root / "train" / path.parent.name / f"copy-{number}.jpg"
        target.write_bytes(body)
        planted[target.relative_to(root).as_posix()] = path.relative_to(root).as_posix()
    leaks = {one.path: one.other for one in of_kind(findings_of(root), "leak")}
    assert planted.items() <= leaks.items()
    assert leaks.keys() - planted.keys() == before, "pictures that differ are no leak"


def test_a_data_set_without_faults_has_no_findings(data: Path) -> None:
    assert findings_of(data) == []


def test_the_copy_in_train_is_named_so_that_the_test_images_stay(data: Path) -> None:
    shutil.copy(data / "test/hat/0.jpg", data / "train/hat/copy.jpg")
    shutil.copy(data / "test/hat/1.jpg", data / "validation/hat/copy.jpg")
    assert apart_from_content(data) == [
        DataFinding("train/hat/copy.jpg", "train", "hat", "leak", 1.0, "test/hat/0.jpg"),
        DataFinding("validation/hat/copy.jpg", "validation", "hat", "leak", 1.0, "test/hat/1.jpg"),
    ]


def test_of_copies_in_one_class_the_largest_stays(data: Path) -> None:
    with Image.open(data / "train/hat/3.jpg") as image:
        small = scenes.encode(scenes.copy(image, "mirrored and reduced"))
    (data / "train/hat/0-small.jpg").write_bytes(small)
    (one,) = apart_from_content(data)
    assert (one.finding, one.path, one.other) == (
        "duplicate",
        "train/hat/0-small.jpg",
        "train/hat/3.jpg",
    )
    assert one.score < 1, "1 is kept for copies byte for byte"


def test_one_picture_with_two_labels_is_a_conflict(data: Path) -> None:
    shutil.copy(data / "train/hat/0.jpg", data / "train/cup/copy.jpg")
    (one,) = apart_from_content(data)
    assert (one.finding, one.score) == ("conflict", 1.0)
    assert {one.path, one.other} == {"train/hat/0.jpg", "train/cup/copy.jpg"}


def test_pictures_that_show_nothing_are_named_by_what_they_lack(data: Path) -> None:
    pictures = {
        "blurred": scenes.blurred(scenes.scene(500), 0.03),
        "dark": scenes.scene(501).point(lambda value: value // 5),
        "blank": Image.new("RGB", (300, 300), (200, 180, 160)),
        "tiny": scenes.scene(502, 66, 62),
    }
    for name, image in pictures.items():
        (data / "train/hat" / f"{name}.jpg").write_bytes(scenes.encode(image))
    findings = apart_from_content(data)
    assert [one.finding for one in findings] == [kind for kind in KINDS if kind in pictures]
    assert all(one.path == f"train/hat/{one.finding}.jpg" for one in findings)


def test_wrong_labels_are_ranked_first_with_the_right_one_beside_them(tmp_path: Path) -> None:
    subjects = {"cat": "cat", "cup": "coffee", "coin": "coins", "rocket": "rocket"}
    root = learnable.folder(tmp_path / "photos", subjects, 14)
    moved = {"cat/3.jpg": "cup", "coin/5.jpg": "rocket", "rocket/7.jpg": "cat"}
    for path, label in moved.items():
        (root / path).rename(root / label / f"moved-{Path(path).name}")
    errors = of_kind(findings_of(root), "label_error")[: len(moved)]
    assert {(one.path, one.label, one.other) for one in errors} == {
        (f"{label}/moved-{Path(path).name}", label, path.split("/")[0])
        for path, label in moved.items()
    }
    assert [one.score for one in errors] == sorted((one.score for one in errors), reverse=True)


def test_a_picture_of_something_else_is_an_outlier(tmp_path: Path) -> None:
    """Its label is wrong too, and no other is right."""
    root = scenes.folder(tmp_path / "photos", 12)
    noise = np.random.default_rng(0).integers(0, 256, (200, 240, 3), np.uint8)
    (root / "train/hat/noise.jpg").write_bytes(scenes.encode(Image.fromarray(noise)))
    outliers = of_kind(findings_of(root), "outlier")
    assert [one.path for one in outliers] == ["train/hat/noise.jpg"]


def test_a_class_with_a_tenth_of_the_largest_ones_images_is_named(data: Path) -> None:
    for number in range(60):
        (data / "train/cup" / f"more-{number}.jpg").write_bytes(
            scenes.encode(scenes.scene(1000 + number, stripes="across"))
        )
    assert apart_from_content(data) == [DataFinding("", "train", "hat", "imbalance", 11.0, "")]


def test_nothing_found_is_exit_code_0_and_something_is_3(data: Path, tmp_path: Path) -> None:
    done = run(str(data), "--out", str(tmp_path / "out"))
    assert (done.exit_code, "Nothing was found." in done.output) == (0, True), done.output
    shutil.copy(data / "test/hat/0.jpg", data / "train/hat/copy.jpg")
    done = run(str(data))
    assert done.exit_code == 3, done.output
    for word in ("leak", "the same picture is in a split", "train/hat/copy.jpg", "test/hat/0.jpg"):
        assert word in done.output
    assert (tmp_path / "photos-findings" / "findings.csv").is_file()


def test_both_files_have_a_row_for_each_finding_with_the_same_fields(
    data: Path, tmp_path: Path
) -> None:
    (data / "train/hat/=1+1.jpg").write_bytes((data / "test/hat/0.jpg").read_bytes())
    out = tmp_path / "out"
    run(str(data), "--out", str(out))
    document = json.loads((out / "findings.json").read_text())
    with (out / "findings.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert document["schema"] == 1
    assert document["images"] == {"train": 13, "validation": 12, "test": 12}
    assert document["counts"] == {"leak": 1}
    assert list(rows[0]) == list(COLUMNS) == list(document["findings"][0])
    assert [[*row.values()] for row in rows] == [
        [str(value) for value in row.values()] for row in document["findings"]
    ]


def test_a_list_that_a_person_may_have_edited_is_not_overwritten(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "findings.csv").write_text("edited")
    done = run(str(data), "--out", str(out))
    assert isinstance(done.exception, TrainingFailed)
    assert "may have been edited: remove it, or name another folder" in str(done.exception)
    assert (out / "findings.csv").read_text() == "edited"


def test_the_lists_are_not_written_into_the_data(data: Path) -> None:
    done = run(str(data), "--out", str(data / "findings"))
    assert done.exit_code == 2
    assert "is inside" in done.output


def test_names_that_are_formulas_are_written_as_text(tmp_path: Path) -> None:
    finding.write([DataFinding("=cmd.jpg", "train", "+a", "tiny", 3.0, "")], {}, tmp_path / "out")
    line = (tmp_path / "out" / "findings.csv").read_text("utf-8-sig").splitlines()[1]
    assert line == "'=cmd.jpg,train,'+a,tiny,3.0,"


def test_a_list_that_was_written_names_the_images_to_exclude(tmp_path: Path) -> None:
    findings = [
        DataFinding("train/hat/=1.jpg", "train", "hat", "tiny", 3.0, ""),
        DataFinding("train/hat/2.jpg", "train", "hat", "leak", 1.0, "test/hat/2.jpg"),
        DataFinding("train/hat/2.jpg", "train", "hat", "blurred", 0.1, ""),
        DataFinding("", "train", "cup", "imbalance", 12.0, ""),
    ]
    finding.write(findings, {"train": 9}, tmp_path)
    assert finding.read_paths(tmp_path / "findings.csv") == {"train/hat/=1.jpg", "train/hat/2.jpg"}


def test_a_list_without_paths_is_refused_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("image,label\n1.jpg,hat\n")
    done = CliRunner().invoke(sortbox, ["train", str(tmp_path), "--exclude", str(path)])
    assert isinstance(done.exception, TableError)
    assert "list.csv has no column path" in str(done.exception)


def test_data_of_s3_need_a_folder_for_the_lists() -> None:
    done = run("s3://photos/data/")
    assert done.exit_code == 2
    assert "name one by --out" in done.output


def test_a_misspelt_option_is_answered_with_the_nearest() -> None:
    done = run("photos", "--ouq", "x")
    assert (done.exit_code, "--out" in done.output) == (2, True)
