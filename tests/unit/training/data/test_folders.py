"""Layouts of well-known data sets are understood as their authors meant, or refused."""

import io
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from training.config.errors import TrainingFailed
from training.data import dataset as data
from training.data.dataset import Dataset

BUFFER = io.BytesIO()
Image.new("RGB", (8, 8)).save(BUFFER, "PNG")
PNG = BUFFER.getvalue()


def grow(root: Path, names: Iterable[str]) -> Path:
    """Images, and other files by their suffix; a name ends in a slash for an empty folder."""
    for name in names:
        path = root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(PNG if path.suffix in (".png", ".jpg", ".JPG") else b"text")
    return root


def images(*folders: str, count: int = 8) -> list[str]:
    return [f"{folder}/{number}.png" for folder in folders for number in range(count)]


def prepared(root: Path) -> Dataset:
    return data.prepare(root, False, 0.0, lambda: None)


def pets(*splits: str, name: str = "{}") -> list[str]:
    return images(*(f"{name.format(split)}/{pet}" for split in splits for pet in ("cat", "dog")))


UNDERSTOOD = {
    "brain tumour MRI": pets("Training", "Testing"),
    "Fruits-360": [*pets("Training", "Test"), *images("test-multiple_fruits"), "papers/a.pdf"],
    "Intel scenes": [*pets("seg_train/seg_train", "seg_test/seg_test"), *images("seg_pred")],
    "capitals": pets("TRAIN", "VAL", "TEST"),
    "cats and dogs": pets("dataset/training_set", "dataset/test_set"),
    "ASL": pets("train", "test", name="asl_alphabet_{0}/asl_alphabet_{0}"),
    "glued": pets("trainset", "testset", "valset"),
    "camel case": pets("TrainImages", "TestImages"),
    "years": pets("train2017", "val2017"),
    "eval": pets("train", "eval"),
    "dev": pets("train", "dev", "test"),
    "evaluation": pets("train", "Evaluation"),
    "images in splits": pets("train/images", "test/images"),
    "one wrapping": pets("archive/Data/train", "archive/Data/valid"),
    "tiny ImageNet": images(*(f"{s}/{c}/images" for s in ("train", "val") for c in ("cat", "dog"))),
}
WHOLE = {
    "Stanford Dogs": [*images("Images/cat", "Images/dog"), "Annotation/cat/a.xml"],
    "Caltech": [
        *images("caltech/101_ObjectCategories/cat", "caltech/101_ObjectCategories/dog"),
        "caltech/Annotations/cat/a.mat",
    ],
    "one folder a class": [*images("cat", "dog"), "README.md"],
    "images in folders below a class": [*images("cat", "cat/2019", "cat/2020", "dog/2019")],
    "one folder in each class": images("cat/images", "dog/images"),
}


@pytest.mark.parametrize("names", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_folders_of_splits_are_splits_in_any_spelling(names: list[str], tmp_path: Path) -> None:
    dataset = prepared(grow(tmp_path, names))
    assert dataset.labels == ("cat", "dog")
    assert len(dataset.folders) >= 2
    assert sum(map(len, dataset.splits.values())) == 16 * len(dataset.folders)
    for split, examples in dataset.splits.items():
        if split in dataset.folders:
            assert {path.path.split("/")[0] for path in examples} == {
                dataset.folders[split].split("/")[0]
            }


@pytest.mark.parametrize("names", WHOLE.values(), ids=WHOLE)
def test_a_folder_a_class_is_a_data_set(names: list[str], tmp_path: Path) -> None:
    dataset = prepared(grow(tmp_path, names))
    assert dataset.labels == ("cat", "dog")
    assert dataset.folders == {}


def test_classes_may_be_called_like_splits_inside_of_splits(tmp_path: Path) -> None:
    names = images("train/bus", "train/test", "train/test tube", "test/bus", "test/test")
    dataset = prepared(grow(tmp_path, [*names, *images("test/test tube")]))
    assert dataset.labels == ("bus", "test", "test tube")


def test_a_class_may_have_the_word_of_a_split_in_its_name(tmp_path: Path) -> None:
    dataset = prepared(grow(tmp_path, images("beaker", "test tube", "train station", "valley")))
    assert dataset.labels == ("beaker", "test tube", "train station", "valley")


def test_folders_with_a_leading_underscore_are_classes(tmp_path: Path) -> None:
    names = images("_background_", "cat")
    dataset = prepared(grow(tmp_path, [*names, "cat/_DSC0042.JPG", "cat/_MG_1234.JPG"]))
    assert dataset.labels == ("_background_", "cat")
    assert sum(map(len, dataset.splits.values())) == 18


REFUSED = {
    "a class called train": (images("bus", "car", "train"), r"rename its folder to %74rain"),
    "a class called test": (images("bus", "car", "test"), r"rename its folder to %74est"),
    "a class called Val": (images("Anna", "Bob", "Val"), r"rename its folder to %56al"),
    "a class called train with folders": (
        images("bus/a", "car/a", "train/a", "train/b"),
        r"beside bus and car: it may be the training split, or a class",
    ),
    "folds": (pets("fold1", "fold2", "fold3"), r"fold1, fold2 and fold3 .* folds or parts"),
    "flat folds": (images("fold_0", "fold_1"), r"fold_0 and fold_1 .* folds or parts"),
    "folds in a split": (pets("train/fold1", "train/fold2"), r"folds or parts"),
    "shards": (images("images_001/images", "images_002/images"), r"folds or parts"),
    "parts": (images("HAM_images_part_1", "HAM_images_part_2"), r"folds or parts"),
    "segmentation": (images("images", "masks"), r"images and masks .* are no classes"),
    "detection": (images("images", "labels"), r"images and labels .* are no classes"),
    "detection by split": (
        images("train/images", "train/labels", "test/images", "test/labels"),
        r"are no classes",
    ),
    "classes outside": (pets("cat/train", "dog/train", "cat/test"), r"cat holds test and train"),
    "classes in names": (
        images("cats_train", "cats_test", "dogs_train", "dogs_test"),
        r"put the folders of all classes into one folder train",
    ),
    "two parts of train": (pets("train1", "train2", "test"), r"but no train"),
    "train twice": (pets("train", "train2", "test"), r"both train and train2"),
    "train in two spellings": (pets("train", "Training"), r"both Training and train"),
    "two validations": (pets("train", "val", "eval"), r"both eval and val"),
    "Omniglot": (
        pets("images_background/Latin", "images_evaluation/Greek"),
        r"images_evaluation but no train",
    ),
    "one half of Omniglot": (
        pets("Latin", "Greek"),
        r"Greek and Latin .* hold only folders.* not clear which folders are the classes",
    ),
    "domains": (pets("amazon/images", "webcam/images"), r"hold only folders"),
    "domains beside a table": (
        [*pets("art", "photo", "sketch"), "art/labels.csv", "photo/README.md"],
        r"hold only folders",
    ),
    "domains beside one photograph": (
        [*pets("art", "photo", "sketch"), "art/cover.png"],
        r"photo and sketch .* hold only folders",
    ),
    "labels in a table": (
        [*images("train", "test"), "labels.csv"],
        r"holds images but no folders.* If labels.csv has the class of each image",
    ),
    "one folder and a table": ([*images("images"), "labels.csv"], r"If labels.csv has the class"),
    "archives": (["train.zip", "test.zip"], r"Unpack test.zip and train.zip first"),
    "no labels for test": ([*pets("train"), *images("test")], r"test holds images but no folders"),
}


@pytest.mark.parametrize(("names", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(
    names: list[str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingFailed, match=sentence):
        prepared(grow(tmp_path, names))


def test_what_is_not_used_is_named_with_the_reason(tmp_path: Path) -> None:
    names = [*pets("Training", "Testing"), *images("extra", count=7), "README.md"]
    names += ["Training/stray.png", "Training/cat/Thumbs.db", "Training/cat/@eaDir/0.png"]
    names += [".DS_Store", "Testing/.git/config", "Testing/dog/0.xmp"]
    dataset = prepared(grow(tmp_path, names))
    assert dataset.unused.files == {
        "in a folder beside the data set": 7,
        "beside the folders": 2,
        "Windows: thumbnails": 1,
        "Synology: thumbnails and indexes": 1,
        "macOS: settings of a folder": 1,
        "hidden: the name begins with a dot": 1,
        "a photo program: edits and keywords of a photograph": 1,
    }
    lines = data.describe(dataset).splitlines()
    assert "classes: cat 16, dog 16" in lines
    assert "splits: train is Training/; validation is held out of train; test is Testing/" in lines
    assert "not used: 7 files (in a folder beside the data set), such as extra/" in lines
    assert "not used: 2 files (beside the folders), such as README.md, Training/stray.png" in lines


def test_one_class_of_several_folders_is_a_class(tmp_path: Path) -> None:
    names = [*images("cat"), *images("dog/2019", "dog/2020")]
    assert prepared(grow(tmp_path, names)).labels == ("cat", "dog")


def test_a_class_may_be_called_weights(tmp_path: Path) -> None:
    """A channel of that name holds files of pretrained weights, and no images."""
    dataset = prepared(grow(tmp_path, images("dumbbell", "weights")))
    assert dataset.labels == ("dumbbell", "weights")
    inner = grow(tmp_path / "inner", images("dumbbell/x", "dumbbell/y", "weights"))
    assert prepared(inner).labels == ("dumbbell", "weights"), "not x and y"


def test_a_linked_folder_of_a_class_is_followed(tmp_path: Path) -> None:
    grow(tmp_path / "elsewhere", images("cat"))
    grow(tmp_path / "pets", images("dog"))
    (tmp_path / "pets" / "cat").symlink_to(tmp_path / "elsewhere" / "cat")
    assert prepared(tmp_path / "pets").labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("link", "target", "sentence"),
    [
        ("pets/all", "pets", r"all is a link to a folder that holds the data set"),
        ("pets/all", ".", r"all is a link to a folder that holds the data set"),
        ("pets/dog2", "pets/dog", r"dog and dog2 of .* hold the same images"),
        ("pets/bird", "nowhere", r"bird is a link to .*nowhere, which does not exist"),
        ("pets/cat/more", "other", r"cat/more is a link to a folder. Links below a class"),
        ("pets/cat/loop", "pets/cat", r"cat/loop is a link to a folder. Links below a class"),
    ],
    ids=["the data set", "above it", "another class", "nothing", "below a class", "a circle"],
)
def test_a_link_that_cannot_be_followed_is_refused_by_name(
    link: str, target: str, sentence: str, tmp_path: Path
) -> None:
    grow(tmp_path / "pets", images("cat", "dog"))
    grow(tmp_path / "other", images("bird"))
    (tmp_path / link).symlink_to(tmp_path / target)
    with pytest.raises(TrainingFailed, match=sentence):
        prepared(tmp_path / "pets")
