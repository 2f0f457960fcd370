from pathlib import Path, PurePosixPath

import pytest

from domain.class_folders import ClassFolders, folder_of
from tests.support.builders.images import encoded, heic, picture
from tests.support.worlds.jobs import data_set, folder
from training.config.errors import Interrupted, TrainingFailed
from training.data import dataset as data
from training.data.dataset import Dataset
from training.launch import upload


def prepared(root: Path, selects: bool = False, max_unreadable: float = 0.0) -> Dataset:
    return data.prepare(root, selects, max_unreadable, lambda: None)


def sizes(dataset: Dataset) -> dict[str, int]:
    return {split: len(examples) for split, examples in dataset.splits.items()}


def breeds(root: Path, validation: str = "valid") -> Path:
    for split, count in (("train", 4), (validation, 2), ("test", 2)):
        for number, colour in enumerate(("red", "green", "blue"), 1):
            made = folder(root / split, {colour: count}, first=100 * len(split))
            (made / colour).rename(made / f"{number:03}.{colour.title()}")
    return root


@pytest.mark.parametrize("validation", ["validation", "valid", "val"])
def test_folders_named_by_split_are_used_as_they_are(validation: str, tmp_path: Path) -> None:
    dataset = prepared(breeds(tmp_path, validation))
    assert dataset.labels == ("001.Red", "002.Green", "003.Blue")
    assert sizes(dataset) == {"train": 12, "validation": 6, "test": 6}
    assert dataset.test_split == "test"


@pytest.mark.parametrize("wrapping", ["DogImages", "training", "training/DogImages", "train"])
def test_folders_around_the_data_set_do_not_matter(wrapping: str, tmp_path: Path) -> None:
    (tmp_path / wrapping / "__MACOSX").mkdir(parents=True)
    breeds(tmp_path / wrapping)
    (tmp_path / wrapping / "LICENSE").write_text("CC0")
    assert sizes(prepared(tmp_path)) == {"train": 12, "validation": 6, "test": 6}


def test_splits_may_be_channels_that_repeat_their_name(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        folder(tmp_path / split / split, {"red": 3, "blue": 3}, len(split))
    assert sizes(prepared(tmp_path)) == {"train": 6, "validation": 6}


def test_the_channel_of_weights_is_no_class(tmp_path: Path) -> None:
    folder(tmp_path / "training", {"red": 10, "blue": 10})
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet50.pth").write_bytes(b"weights")
    assert prepared(tmp_path).labels == ("blue", "red")


def test_a_class_may_be_called_weights(tmp_path: Path) -> None:
    folder(tmp_path, {"red": 10, "blue": 10, "green": 10})
    (tmp_path / "red").rename(tmp_path / "weights")
    assert prepared(tmp_path).labels == ("blue", "green", "weights")


LABELS = ("50% off", "_misc", "cat", "test", "x" * 300, "Äpfel", "кот")


@pytest.mark.parametrize("split", ["", "train", "data/photos"])
def test_a_label_is_what_its_folder_is_read_as(split: str, tmp_path: Path) -> None:
    folders = ClassFolders()
    for number, label in enumerate(LABELS):
        made = folder(tmp_path / "colour", {"red": 8}, 100 * number)
        target = tmp_path / "photos" / split / folders.folder_of(label)
        target.parent.mkdir(parents=True, exist_ok=True)
        (made / "red").rename(target)
    dataset = prepared(tmp_path / "photos")
    assert dataset.labels == LABELS
    assert [sum(row) for row in zip(*map(dataset.counts, dataset.splits), strict=True)] == [8] * 7
    places = [
        PurePosixPath(upload.key_in_dataset(name, example, dataset)).relative_to(name)
        for name, examples in dataset.splits.items()
        for example in examples
    ]
    assert {path.parent for path in places} == set(map(folder_of, LABELS))


def test_two_folders_of_one_class_are_refused(tmp_path: Path) -> None:
    folder(tmp_path, {"red": 5, "blue": 5, "green": 5})
    (tmp_path / "red").rename(tmp_path / "a b")
    (tmp_path / "blue").rename(tmp_path / "a%20b")
    with pytest.raises(TrainingFailed, match=r"a b and a%20b of .* are one class, 'a b'"):
        prepared(tmp_path)


def test_one_folder_is_split_the_same_way_every_time_and_by_class(tmp_path: Path) -> None:
    dataset = prepared(folder(tmp_path, {"red": 40, "blue": 20}))
    assert sizes(dataset) == {"train": 42, "validation": 9, "test": 9}
    assert [dataset.counts(split) for split in dataset.splits] == [[14, 28], [3, 6], [3, 6]]
    assert prepared(tmp_path) == dataset
    paths = [example.path for split in dataset.splits.values() for example in split]
    assert len(set(paths)) == 60


def test_a_test_split_is_made_only_where_validation_selects(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        folder(tmp_path / split, {"red": 20, "blue": 20}, len(split) * 100)
    assert sizes(prepared(tmp_path)) == {"train": 40, "validation": 40}
    assert sizes(prepared(tmp_path, selects=True)) == {"train": 34, "validation": 40, "test": 6}


def test_every_image_is_an_image_by_its_content(tmp_path: Path) -> None:
    folder(tmp_path, {"red": 3, "blue": 3})
    (tmp_path / "red" / "phone.jpg").write_bytes(heic(picture()))
    (tmp_path / "red" / "album").mkdir()
    (tmp_path / "red" / "album" / "no-suffix").write_bytes(encoded(picture(), "WEBP"))
    for name in ("Thumbs.db", ".DS_Store", "_SUCCESS"):
        (tmp_path / "red" / name).write_bytes(b"not an image")
    assert sum(sizes(prepared(tmp_path)).values()) == 8


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        ({}, r"holds no folders"),
        ({"cat.png": 1}, r"holds images but no folders"),
        ({"red/1.png": 1}, r"only one class, 'red'"),
        ({"test/red/1.png": 1, "test/blue/1.png": 1, "valid/red/1.png": 1}, r"but no train"),
        (
            {f"{split}/{name}/1.png": 1 for split in ("train", "valid", "val") for name in "ab"},
            r"both val and valid",
        ),
        (
            {"train/a/1.png": 1, "train/b/1.png": 1, "test/a/1.png": 1, "test/c/1.png": 1},
            r"classes of test and of train differ: only train has b; only test has c\.",
        ),
        ({"a/1.png": 1, "b/": 0, "c/": 0}, r"2 classes of train are empty: b, c"),
        ({"a/1.png": 1, "b/1.png": 1}, r"'a' has too few images to spare some for validation"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_layout_that_cannot_be_learnt_from_is_told(
    layout: dict[str, int], sentence: str, tmp_path: Path
) -> None:
    for name, there in layout.items():
        path = tmp_path / name
        (path.parent if there else path).mkdir(parents=True, exist_ok=True)
        if there:
            picture().save(path)
    with pytest.raises(TrainingFailed, match=sentence):
        prepared(tmp_path)


def test_a_missing_folder_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"no folder of images at .*absent"):
        prepared(tmp_path / "absent")


def test_unreadable_images_are_counted_and_named(tmp_path: Path) -> None:
    folder(tmp_path, {"red": 10, "blue": 10})
    jpeg = encoded(picture(), "JPEG")
    (tmp_path / "red" / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    with pytest.raises(TrainingFailed, match=r"1 or more of 21 .*\n  red/cut\.jpg: The"):
        prepared(tmp_path)
    dataset = prepared(tmp_path, max_unreadable=0.05)
    assert sum(sizes(dataset).values()) == 20
    assert dataset.left_out == ("red/cut.jpg: The jpeg file ends before its image does.",)


def test_a_class_of_which_nothing_can_be_read_is_named(tmp_path: Path) -> None:
    folder(tmp_path, {"red": 10})
    (tmp_path / "blue").mkdir()
    (tmp_path / "blue" / "1.jpg").write_bytes(b"text")
    with pytest.raises(TrainingFailed, match="No image of train can be read in blue"):
        prepared(tmp_path, max_unreadable=0.5)


def test_images_that_are_both_learnt_and_judged_are_counted(tmp_path: Path) -> None:
    folder(tmp_path / "train", {"red": 5, "blue": 5})
    folder(tmp_path / "validation", {"red": 3, "blue": 2})
    dataset = prepared(tmp_path)
    assert len(dataset.duplicates) == 5
    assert "5 images are in both train and a held-out split" in data.describe(dataset)
    assert "validation/blue/0.png" in data.describe(dataset)
    assert prepared(data_set(tmp_path / "other")).duplicates == ()


def test_the_fingerprint_is_of_content_class_and_split(tmp_path: Path) -> None:
    before = prepared(data_set(tmp_path)).fingerprint
    image = tmp_path / "train" / "red" / "0.png"
    image.rename(image.with_name("another name.png"))
    assert prepared(tmp_path).fingerprint == before
    image.with_name("another name.png").rename(tmp_path / "train" / "blue" / "another name.png")
    assert prepared(tmp_path).fingerprint != before


def test_looking_at_the_data_can_be_interrupted(tmp_path: Path) -> None:
    def stop() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        data.prepare(data_set(tmp_path), False, 0.0, stop)


def test_labels_that_no_model_can_have_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    folder(tmp_path, {"red": 10})
    (tmp_path / "red" / "1.png").write_bytes(b"unreadable")
    (tmp_path / folder_of("x" * 1001)).mkdir(parents=True)
    with pytest.raises(TrainingFailed, match="No model can have these 2 classes"):
        prepared(tmp_path)


def test_a_list_takes_images_out_and_the_splits_stay(tmp_path: Path) -> None:
    """Were the splits made after, images of the test split would go into train."""
    whole = prepared(folder(tmp_path, {"red": 20, "blue": 20}), selects=True)
    chosen = {split: examples[0].path for split, examples in whole.splits.items()}
    rest = data.leave_out(whole, set(chosen.values()))
    assert sizes(rest) == {split: count - 1 for split, count in sizes(whole).items()}
    for split, examples in rest.splits.items():
        assert set(examples) < set(whole.splits[split])
    (line,) = rest.unused.lines()
    assert line.startswith("not used: 3 files (excluded by a list), such as ")
    assert not whole.unused.lines()


def test_a_list_of_other_data_is_refused(tmp_path: Path) -> None:
    """Taken without a word, everything would be trained on that was to be left out."""
    whole = prepared(folder(tmp_path, {"red": 20, "blue": 20}), selects=True)
    with pytest.raises(TrainingFailed, match=r"None of the 1 image .* The list is of other data"):
        data.leave_out(whole, {"train/cat/none.jpg"})


def test_a_list_that_empties_a_class_is_refused_with_its_name(tmp_path: Path) -> None:
    whole = prepared(folder(tmp_path, {"red": 20, "blue": 20}), selects=True)
    reds = {one.path for one in whole.splits["test"] if whole.labels[one.label] == "red"}
    with pytest.raises(TrainingFailed, match="leaves no image of red in test: delete rows"):
        data.leave_out(whole, reds)
