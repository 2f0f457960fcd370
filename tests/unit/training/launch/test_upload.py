"""Data are looked at before anything is asked for, and sent once."""

import dataclasses
import io
import json
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PIL import Image

from domain import file_names
from domain.ignored.names import DATASET_MANIFEST, DATASET_RECORD
from serving.files import read_regular
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.data.unused import Record, UnusedFiles
from training.launch import upload

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
        self.bodies: dict[str, bytes] = {}

    def download_file(self, bucket: str, key: str, path: str) -> None:
        Path(path).write_bytes(bytes(self.sizes[key]))

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        self.sent.append(key)
        self.sizes[key] = Path(path).stat().st_size

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:
        self.bodies[Key] = Body

    def get_paginator(self, operation: str) -> Any:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Any:
        found = [
            {"Key": key, "Size": size, "ETag": f'"{key}"'}
            for key, size in self.sizes.items()
            if key.startswith(Prefix)
        ]
        return iter([{"Contents": found}])


def test_data_are_sent_by_split_and_class_and_only_once(tmp_path: Path) -> None:
    s3: Any = Uploads()
    dataset = upload.inspect_source(s3, str(photos(tmp_path, *classes("cat", "dog"))), TOLD)
    uri = upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
    assert len(s3.sent) == 8
    below = {key.removeprefix(uri.removeprefix("s3://bucket/")) for key in s3.sent}
    assert {key.split("/")[0] for key in below} == {"train", "validation", "test"}
    assert {key.split("/")[1] for key in below} == {"cat", "dog"}
    upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
    assert len(s3.sent) == 8


def test_images_on_a_list_are_not_sent_and_the_job_repeats_the_reason(tmp_path: Path) -> None:
    s3: Any = Uploads()
    folder = photos(tmp_path, *classes("cat", "dog"))
    whole = upload.inspect_source(s3, str(folder), TOLD)
    chosen = whole.splits["train"][0].path
    dataset = upload.inspect_source(s3, str(folder), TOLD, {chosen, "cat/gone.jpg"})
    assert dataset.fingerprint != whole.fingerprint, "another data set is another run"
    prefix = upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
    assert len(s3.sent) == 7
    record = json.loads(s3.bodies[f"{prefix.removeprefix('s3://bucket/')}{DATASET_RECORD}"])
    assert record["unused"] == {data.EXCLUDED: 1}
    assert record["unused_such_as"] == {data.EXCLUDED: [chosen]}


def test_a_list_for_images_in_s3_is_refused_with_what_to_do() -> None:
    s3: Any = Uploads()
    with pytest.raises(TrainingFailed, match="is in S3: download the images, or remove"):
        upload.inspect_source(s3, "s3://bucket/some/where", TOLD, {"cat/1.jpg"})


def test_the_manifest_of_a_joined_data_set_goes_with_it(tmp_path: Path) -> None:
    s3: Any = Uploads()
    folder = photos(tmp_path, *classes("cat", "dog"))
    (folder / DATASET_MANIFEST).write_text('{"version": 2}')
    dataset = upload.inspect_source(s3, str(folder), TOLD)
    uri = upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
    assert f"{uri.removeprefix('s3://bucket/')}{DATASET_MANIFEST}" in s3.sent


def test_what_was_interrupted_sends_the_rest(tmp_path: Path) -> None:
    s3: Any = Uploads()
    dataset = upload.inspect_source(s3, str(photos(tmp_path, *classes("cat", "dog"))), TOLD)
    upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
    del s3.sizes[s3.sent[3]]
    upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
    assert s3.sent[8:] == [s3.sent[3]]


def test_what_was_sent_in_another_size_is_sent_again(tmp_path: Path) -> None:
    """By its name it is what was asked for; by its size it is what an upload that died left."""
    s3: Any = Uploads()
    dataset = upload.inspect_source(s3, str(photos(tmp_path, *classes("cat", "dog"))), TOLD)
    upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
    cut, longer = s3.sent[3], s3.sent[5]
    s3.sizes[cut] -= 1
    s3.sizes[longer] += 1
    upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
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
    dataset = upload.inspect_source(s3, str(photos(tmp_path / "here", *names)), TOLD)
    for split, examples in dataset.splits.items():
        for each in examples:
            place = tmp_path / "job" / "data" / upload.key_in_dataset(split, each, dataset)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((dataset.root / each.path).read_bytes())
    again = data.prepare(tmp_path / "job", True, 0.01, lambda: None)
    assert again.fingerprint == dataset.fingerprint


def test_a_list_of_a_job_leaves_out_what_it_names_here(tmp_path: Path) -> None:
    """A job has the images by split and class; here they may lie in folders of classes alone."""
    s3: Any = Uploads()
    source = str(photos(tmp_path, *classes("cat", "dog", each=12)))
    whole = upload.inspect_source(s3, source, TOLD)
    for split, examples in whole.splits.items():
        listed = {upload.key_in_dataset(split, examples[0], whole)}
        rest = upload.inspect_source(s3, source, TOLD, listed)
        left = {example.path for own in rest.splits.values() for example in own}
        kept = {example.path for own in whole.splits.values() for example in own}
        assert kept - left == {examples[0].path}


def test_a_class_called_like_its_split_lies_no_deeper_after_an_upload(tmp_path: Path) -> None:
    names = [f"{split}/{name}" for split in ("train", "test") for name in classes("train", "bus")]
    s3: Any = Uploads()
    dataset = upload.inspect_source(s3, str(photos(tmp_path, *names)), TOLD)
    keys = {
        upload.key_in_dataset(split, example, dataset)
        for split, examples in dataset.splits.items()
        for example in examples
    }
    assert {key.count("/") for key in keys} == {2}, keys


def test_what_was_left_out_here_is_told_to_the_job(tmp_path: Path) -> None:
    photos(tmp_path / "here", *classes("cat", "dog"))
    (tmp_path / "here" / "cat" / "cut.png").write_bytes(picture(0)[:20])
    (tmp_path / "here" / "cat" / "Thumbs.db").write_bytes(b"Windows")
    s3: Any = Uploads()
    config = dataclasses.replace(TOLD, max_unreadable=0.2)
    dataset = upload.inspect_source(s3, str(tmp_path / "here"), config)
    upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
    ((key, body),) = s3.bodies.items()
    assert key.endswith("/_dataset.json")
    photos(tmp_path / "job", *classes("train/cat", "train/dog"))
    (tmp_path / "job" / "_dataset.json").write_bytes(body)
    record = data.prepare(tmp_path / "job", False, 0.0, lambda: None).record
    assert record.left_out == 1
    assert record.left_out_such_as[0].startswith("cat/cut.png: ")
    assert record.unused.files == {"Windows: thumbnails": 1}


def test_what_an_earlier_upload_left_out_is_recorded_again(tmp_path: Path) -> None:
    """A data set that was fetched from the bucket, with its record, and is trained on again."""
    photos(tmp_path, *classes("train/cat", "train/dog"))
    (tmp_path / "train" / "cat" / "Thumbs.db").write_bytes(b"Windows")
    unused = UnusedFiles({"Windows: thumbnails": 2}, {"Windows: thumbnails": ["cat/Thumbs.db"]})
    record = Record(3, ("train/cat/cut.png: The PNG is cut off.",), unused)
    (tmp_path / "_dataset.json").write_text(record.to_json())
    s3: Any = Uploads()
    dataset = upload.inspect_source(s3, str(tmp_path), TOLD)
    upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None)
    (body,) = s3.bodies.values()
    assert json.loads(body)["left_out"] == 3
    assert json.loads(body)["left_out_such_as"] == ["train/cat/cut.png: The PNG is cut off."]
    assert json.loads(body)["unused"] == {"Windows: thumbnails": 3}


def test_what_the_launcher_has_checked_is_not_refused_by_the_job(tmp_path: Path) -> None:
    """The only image directly below its class may be the one that was left out."""
    photos(tmp_path, *classes("train/cat/2019", "train/cat/2020", "train/dog/2019"))
    with pytest.raises(TrainingFailed, match="not clear which folders are the classes"):
        data.prepare(tmp_path, False, 0.0, lambda: None)
    (tmp_path / "_dataset.json").write_text(Record().to_json())
    assert data.prepare(tmp_path, False, 0.0, lambda: None).labels == ("cat", "dog")


def test_a_layout_in_s3_is_described_before_it_is_copied(tmp_path: Path) -> None:
    s3: Any = Uploads()
    names = classes("mri/Training/cat", "mri/Training/dog", "mri/Testing/cat", "mri/Testing/dog")
    hidden = [f"mri/Training/cat/._{number}.png" for number in range(9)]
    s3.sizes = dict.fromkeys(
        [*hidden, *names, "mri/README.md", *classes("mri/seg_pred", each=9)], 8
    )
    lines = data.describe_layout(upload.inspect_source(s3, "s3://b/mri", TOLD)).splitlines()
    assert lines[0] == "2 classes: cat, dog"
    assert lines[1].startswith("splits: train is Training/; ")
    assert lines[1].endswith("; test is Testing/")
    assert lines[2].startswith("not used: files (macOS: attributes of another file), such as ")
    assert lines[3] == "not used: files (beside the folders), such as README.md"
    assert lines[4] == "not used: files (in a folder beside the data set), such as seg_pred/", (
        "of each folder only a few names are known: a number would be wrong"
    )


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (classes("only"), "only one class"),
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
        upload.inspect_source(s3, str(photos(tmp_path, *names)), TOLD)
    s3.sizes = {f"some/where/{name}": 9 for name in names}
    with pytest.raises(TrainingFailed, match=sentence):
        upload.inspect_source(s3, "s3://bucket/some/where", TOLD)


@pytest.mark.parametrize("below", ["", "cat/", "train/cat/"])
def test_a_key_that_climbs_out_of_its_dataset_makes_no_file(tmp_path: Path, below: str) -> None:
    """Whoever may write to the prefix would write wherever the person who trains may."""
    target = tmp_path / "planted.png"
    s3: Any = Uploads()
    names = [*classes("cat", "dog"), f"{below}{'../' * 20}{str(target).lstrip('/')}"]
    s3.sizes = {f"some/where/{name}": 9 for name in names}
    with pytest.raises(TrainingFailed, match=r"1 keys at .* cannot be files"):
        upload.inspect_source(s3, "s3://bucket/some/where", TOLD)
    assert not target.exists(), "The key wrote outside of the folder that was made for it."


def test_a_prefix_with_nothing_below_it_is_said_so() -> None:
    s3: Any = Uploads()
    with pytest.raises(TrainingFailed, match="nothing at s3://bucket/none"):
        upload.inspect_source(s3, "s3://bucket/none", TOLD)


def test_weights_are_sent_once_by_content(tmp_path: Path) -> None:
    s3: Any = Uploads()
    (tmp_path / "resnet50.pth").write_bytes(b"numbers")
    uris = {upload.upload_weights(s3, "bucket", str(tmp_path / "resnet50.pth")) for _ in "ab"}
    assert len(uris) == len(s3.sent) == 1
    assert uris.pop().endswith("/resnet50.pth")


HOSTILE = {
    "parent": "../../planted",
    "parent inside": "cat/../../planted",
    "root": "/planted",
    "empty segment": "cat//planted.png",
    "dot": "cat/./planted.png",
    "backslash": "cat\\..\\..\\planted",
    "drive": "C:\\planted",
    "NUL": "cat/planted\0.png",
    "line break": "cat/planted\n.png",
    "escape": "cat/\x1b]0;planted\x07.png",
    "C1": "cat/\x9bplanted.png",
    "long name": f"cat/{'x' * 256}",
    "long name in bytes": f"cat/{'é' * 128}",
    "long path": "/".join(["cat"] * 300),
    "file and folder": "cat/0.png/planted",
}


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("prefix", ["some/where", "some/where/"])
def test_a_key_that_is_no_file_below_the_folder_is_left_out_by_name(
    tmp_path: Path, key: str, prefix: str
) -> None:
    """`DATA=s3://` may be anybody's; `make promote` fetches it to the machine of who promotes."""
    s3: Any = Uploads()
    s3.sizes = {f"some/where/{name}": 9 for name in (*classes("cat", "dog"), key)}
    folder = tmp_path / "a" / "b" / "tests"
    (left_out,) = upload.download(s3, f"s3://bucket/{prefix}", folder, lambda done, of: None)
    assert left_out.isprintable()
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if not p.is_dir()}
    assert found == {f"a/b/tests/{name}" for name in classes("cat", "dog")}
    assert not Path("/planted").exists()
    with pytest.raises(TrainingFailed, match="cannot be files") as refused:
        upload.inspect_source(s3, f"s3://bucket/{prefix}", TOLD)
    assert str(refused.value).isprintable()


def test_a_prefix_that_ends_in_a_name_keeps_whole_names_as_the_job_does(tmp_path: Path) -> None:
    s3: Any = Uploads()
    s3.sizes = {f"data/pets{at}/cat/1.png": 9 for at in ("", "2")}
    upload.download(s3, "s3://bucket/data/pets", tmp_path, lambda done, of: None)
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.png")}
    assert found == {"cat/1.png", "pets2/cat/1.png"}


def test_an_object_that_is_larger_than_any_image_is_not_fetched(tmp_path: Path) -> None:
    s3: Any = Uploads()
    s3.sizes = {"data/cat/1.png": 9, "data/cat/2.png": 10**13}
    (left_out,) = upload.download(s3, "s3://bucket/data", tmp_path, lambda done, of: None)
    assert "cat/2.png: larger than" in left_out


def test_where_a_disk_ignores_case_two_names_that_it_cannot_tell_apart_are_one_too_many() -> None:
    names = file_names.Names(ignore_case=True)
    names.add(file_names.relative("cat/A.png"))
    for twin in ("cat/a.png", "CAT/A.png"):
        with pytest.raises(file_names.UnsafeName, match="twice"):
            names.add(file_names.relative(twin))
    apart = file_names.Names(ignore_case=False)
    for name in ("cat/A.png", "cat/a.png"):
        apart.add(file_names.relative(name))


@pytest.mark.parametrize("kind", ["link to a folder", "link to a file", "dangling", "pipe", "file"])
def test_what_lies_in_the_folder_already_leads_nobody_out_of_it(tmp_path: Path, kind: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "tests"
    outside.mkdir()
    (folder / "cat").mkdir(parents=True)
    match kind:
        case "link to a folder":
            (folder / "cat").rmdir()
            (folder / "cat").symlink_to(outside)
        case "link to a file":
            (outside / "file").write_bytes(b"mine")
            (folder / "cat" / "1.png").symlink_to(outside / "file")
        case "dangling":
            (folder / "cat" / "1.png").symlink_to(outside / "new")
        case "pipe":
            os.mkfifo(folder / "cat" / "1.png")
        case "file":
            (folder / "cat").rmdir()
            (folder / "cat").write_bytes(b"")
    s3: Any = Uploads()
    s3.sizes = {"data/cat/1.png": 9}
    with pytest.raises(TrainingFailed, match="remove it"):
        upload.download(s3, "s3://bucket/data", folder, lambda done, of: None)
    assert [p.read_bytes() for p in outside.iterdir()] in ([], [b"mine"])


def test_what_is_there_whole_is_not_fetched_again_and_what_is_cut_is(tmp_path: Path) -> None:
    s3: Any = Uploads()
    s3.sizes = {"data/cat/1.png": 9, "data/cat/2.png": 9}
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"123456789")
    (tmp_path / "cat" / "2.png").write_bytes(b"1234")
    upload.download(s3, "s3://bucket/data", tmp_path, lambda done, of: None)
    assert (tmp_path / "cat" / "1.png").read_bytes() == b"123456789"
    assert (tmp_path / "cat" / "2.png").read_bytes() == bytes(9)


def put_socket(path: Path) -> None:
    short = Path(tempfile.mkdtemp(prefix="s"), "s")  # a socket's path has 100 bytes
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(short))
    short.rename(path)


def put_pipe_behind_a_link(path: Path) -> None:
    os.mkfifo(path.with_name(".pipe"))
    path.symlink_to(".pipe")


def put_endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**12)


def put_in_another_encoding(path: Path) -> None:
    Path(os.fsdecode(os.fsencode(path) + b"\xff.png")).write_bytes(picture(0))


ODD: dict[str, Callable[[Path], object]] = {
    "named pipe": os.mkfifo,
    "socket": put_socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/tty"),
    "pipe behind a link": put_pipe_behind_a_link,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "looping link": lambda path: path.symlink_to(path.name),
    "endless file": put_endless,
    "name of another encoding": put_in_another_encoding,
    "name with a line break": lambda path: path.with_name("odd.png\n").write_bytes(picture(0)),
}


@pytest.mark.parametrize("put", ODD.values(), ids=ODD.keys())
def test_what_is_no_image_file_is_never_waited_for(
    tmp_path: Path, put: Callable[[Path], object]
) -> None:
    """A named pipe in a data set held the launcher, a promotion and the job for ever."""
    photos(tmp_path / "data", *classes("cat", "dog"))
    put(tmp_path / "data" / "cat" / "odd.png")
    told = dataclasses.replace(TOLD, max_unreadable=0.2)
    s3: Any = Uploads()
    dataset = within(30, lambda: upload.inspect_source(s3, str(tmp_path / "data"), told))
    (left_out,) = dataset.left_out
    assert "odd.png" in left_out
    assert sum(map(len, dataset.splits.values())) == 8
    with pytest.raises(TrainingFailed, match="1 or more of 9 images cannot be read"):
        within(30, lambda: upload.inspect_source(s3, str(tmp_path / "data"), TOLD))


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def read() -> str:
        with pytest.raises(OSError, match="a named pipe") as refused:
            read_regular(tmp_path / "pipe", 1000)
        return str(refused.value)

    assert within(10, read)


def test_a_folder_called_like_an_image_is_a_folder(tmp_path: Path) -> None:
    photos(tmp_path, *classes("cat", "dog"), "cat/x.jpg/1.png", "dog/empty.jpg/.keep")
    dataset = upload.inspect_source(Uploads(), str(tmp_path), TOLD)  # type: ignore[arg-type]
    paths = {each.path for split in dataset.splits.values() for each in split}
    assert len(paths) == 9
    assert "cat/x.jpg/1.png" in paths


def test_a_file_that_became_a_pipe_is_not_sent(tmp_path: Path) -> None:
    s3: Any = Uploads()
    dataset = upload.inspect_source(s3, str(photos(tmp_path, *classes("cat", "dog"))), TOLD)
    (tmp_path / "cat" / "0.png").unlink()
    os.mkfifo(tmp_path / "cat" / "0.png")
    with pytest.raises(TrainingFailed, match="a named pipe"):
        within(30, lambda: upload.upload_dataset(s3, "bucket", dataset, lambda done, of: None))


def test_folders_in_folders_without_end_are_looked_through_no_further(tmp_path: Path) -> None:
    deep = tmp_path / "a"
    deep.mkdir()
    while len(str(deep)) < 4000:  # what a system call takes as one path
        deep /= "a"
        deep.mkdir()
    try:
        with pytest.raises(TrainingFailed, match=r"deep|one class"):
            upload.inspect_source(Uploads(), str(tmp_path), TOLD)  # type: ignore[arg-type]
    finally:  # Python's own rmtree recurses, and pytest's next session would end in its limit
        subprocess.run(["rm", "-rf", str(tmp_path / "a")], check=True)


T = TypeVar("T")


def within(seconds: float, act: Callable[[], T]) -> T:
    """Fails rather than hangs where something waits for ever."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(act())
        except TrainingFailed as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done.result(seconds)
