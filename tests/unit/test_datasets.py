"""Data are looked at before anything is asked for, and sent once."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from training import data, datasets
from training.config import TrainConfig
from training.failure import TrainingFailed

TOLD = TrainConfig()


def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), shade).save(buffer, "PNG")
    return buffer.getvalue()


def photos(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(number))
    return root


def classes(*names: str, each: int = 4) -> list[str]:
    return [f"{name}/{number}.png" for name in names for number in range(each)]


class Uploads:
    """S3 as far as sending goes: keys and sizes."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.sent: list[str] = []

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        self.sent.append(key)
        self.sizes[key] = Path(path).stat().st_size

    def get_paginator(self, operation: str) -> Any:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Any:
        found = [{"Key": k, "Size": n} for k, n in self.sizes.items() if k.startswith(Prefix)]
        return iter([{"Contents": found}])


def test_data_are_sent_by_split_and_class_and_only_once(tmp_path: Path) -> None:
    s3: Any = Uploads()
    dataset = datasets.looked_at(s3, str(photos(tmp_path, *classes("cat", "dog"))), TOLD)
    uri = datasets.sent(s3, "bucket", dataset, lambda done, of: None)
    assert len(s3.sent) == 8
    below = {key.removeprefix(uri.removeprefix("s3://bucket/")) for key in s3.sent}
    assert {key.split("/")[0] for key in below} == {"train", "validation", "test"}
    assert {key.split("/")[1] for key in below} == {"cat", "dog"}
    datasets.sent(s3, "bucket", dataset, lambda done, of: None)
    assert len(s3.sent) == 8


def test_what_was_interrupted_sends_the_rest(tmp_path: Path) -> None:
    s3: Any = Uploads()
    dataset = datasets.looked_at(s3, str(photos(tmp_path, *classes("cat", "dog"))), TOLD)
    datasets.sent(s3, "bucket", dataset, lambda done, of: None)
    del s3.sizes[s3.sent[3]]
    datasets.sent(s3, "bucket", dataset, lambda done, of: None)
    assert s3.sent[8:] == [s3.sent[3]]


def test_what_was_sent_in_another_size_is_sent_again(tmp_path: Path) -> None:
    """By its name it is what was asked for; by its size it is what an upload that died left."""
    s3: Any = Uploads()
    dataset = datasets.looked_at(s3, str(photos(tmp_path, *classes("cat", "dog"))), TOLD)
    datasets.sent(s3, "bucket", dataset, lambda done, of: None)
    cut, longer = s3.sent[3], s3.sent[5]
    s3.sizes[cut] -= 1
    s3.sizes[longer] += 1
    datasets.sent(s3, "bucket", dataset, lambda done, of: None)
    assert sorted(s3.sent[8:]) == sorted([cut, longer]), (
        "The job would learn from half an image, or count it as unreadable."
    )


def test_what_was_sent_is_the_same_data_set_to_the_job(tmp_path: Path) -> None:
    splits = {"train": 4, "valid": 2, "test": 2}
    names = [
        f"DogImages/{split}/{name}"
        for split, each in splits.items()
        for name in classes("001.Affen", "002.Afghan", each=each)
    ]
    s3: Any = Uploads()
    dataset = datasets.looked_at(s3, str(photos(tmp_path / "here", *names)), TOLD)
    for split, examples in dataset.splits.items():
        for each in examples:
            place = tmp_path / "job" / "data" / datasets.place(split, each, dataset)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((dataset.root / each.path).read_bytes())
    again = data.prepare(tmp_path / "job", True, 0.01, lambda: None)
    assert again.fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (classes("only"), "one class only"),
        (["a.png"], "no folders"),
        (classes("cat", "dog", each=1), "too few images"),
        ([f"train/{n}" for n in classes("cat", "dog")] + ["test/bird/1.png"], "differ"),
    ],
)
def test_a_layout_that_cannot_be_learnt_from_is_told_of_here_and_of_s3(
    tmp_path: Path, names: list[str], sentence: str
) -> None:
    s3: Any = Uploads()
    with pytest.raises(TrainingFailed, match=sentence):
        datasets.looked_at(s3, str(photos(tmp_path, *names)), TOLD)
    s3.sizes = {f"some/where/{name}": 9 for name in names}
    with pytest.raises(TrainingFailed, match=sentence):
        datasets.looked_at(s3, "s3://bucket/some/where", TOLD)


@pytest.mark.parametrize("below", ["", "cat/", "train/cat/"])
def test_a_key_that_climbs_out_of_its_dataset_makes_no_file(tmp_path: Path, below: str) -> None:
    """Whoever may write to the prefix would write wherever the person who trains may."""
    target = tmp_path / "planted.png"
    s3: Any = Uploads()
    names = [*classes("cat", "dog"), f"{below}{'../' * 20}{str(target).lstrip('/')}"]
    s3.sizes = {f"some/where/{name}": 9 for name in names}
    dataset = datasets.looked_at(s3, "s3://bucket/some/where", TOLD)
    assert dataset.labels == ("cat", "dog")
    assert not target.exists(), "The key wrote outside of the folder that was made for it."


def test_a_prefix_with_nothing_below_it_is_said_so() -> None:
    s3: Any = Uploads()
    with pytest.raises(TrainingFailed, match="nothing at s3://bucket/none"):
        datasets.looked_at(s3, "s3://bucket/none", TOLD)


def test_weights_that_are_nowhere_are_said_so(tmp_path: Path) -> None:
    s3: Any = Uploads()
    with pytest.raises(TrainingFailed, match="no file of weights"):
        datasets.weights_sent(s3, "bucket", str(tmp_path / "resnet50.pth"))
    with pytest.raises(TrainingFailed, match="no weights at"):
        datasets.weights_sent(s3, "bucket", "s3://bucket/resnet50.pth")


def test_weights_are_sent_once_by_content(tmp_path: Path) -> None:
    s3: Any = Uploads()
    (tmp_path / "resnet50.pth").write_bytes(b"numbers")
    uris = {datasets.weights_sent(s3, "bucket", str(tmp_path / "resnet50.pth")) for _ in "ab"}
    assert len(uris) == len(s3.sent) == 1
    assert uris.pop().endswith("/resnet50.pth")
