"""An archive dropped into the inbox, in the deployed cloud: its images are answered as a folder."""

import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from domain.keys import ARCHIVES, unpacked_key
from tests.flow.support.drive import Cloud, code, eventually, label_of
from tests.support.builders.packed import gzipped, tarred, zipped

pytestmark = pytest.mark.flow

PHOTOS = {f"day {n % 3}/photo {n}.jpg": f"packed photo {n}".encode() for n in range(30)}
LEFT_OUT = {"../escape.jpg": b"x", "__MACOSX/._photo.jpg": b"x", "more.zip": zipped({"a": b"a"})}


PACK: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": zipped,
    "tar": lambda files: tarred(files, tarfile.GNU_FORMAT),
    "tar.gz": lambda files: gzipped(tarred(files)),
}


def report(cloud: Cloud, name: str) -> dict[str, Any]:
    """The report of an archive that is done with, waited for."""

    def look() -> dict[str, Any] | None:
        stored = cloud.read(unpacked_key(f"inbox/{name}"))
        document: dict[str, Any] = json.loads(stored) if stored else {"state": "unpacking"}
        return document if document["state"] != "unpacking" else None

    return eventually(look, f"the report of {name}")


@pytest.mark.parametrize("suffix", PACK)
def test_an_archive_is_unpacked_and_answered_as_a_folder(cloud: Cloud, suffix: str) -> None:
    folder = f"archive-{suffix.replace('.', '-')}"
    files = {name: content + suffix.encode() for name, content in PHOTOS.items()}
    content = PACK[suffix](files | LEFT_OUT)
    cloud.drop(f"inbox/{folder}.{suffix}", content)
    document = report(cloud, f"{folder}.{suffix}")
    assert (document["state"], document["files"]) == ("unpacked", len(files))
    assert document["left_out"] == len(LEFT_OUT)
    for name, body in files.items():
        key = f"inbox/{folder}/{name}"
        assert cloud.label(key) == label_of(body)
    cloud.ended(folder)
    eventually(lambda: cloud.summary(folder)["images"] == len(files) or None, "the summary of all")
    assert cloud.answer(f"inbox/{folder}.{suffix}") is None
    cloud.at_rest()
    assert not cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=ARCHIVES).get("Contents")


def test_a_broken_archive_is_rejected_and_a_whole_one_takes_its_place(cloud: Cloud) -> None:
    cloud.drop("inbox/broken.tgz", b"this is a text and no archive")
    assert code(cloud.answered("inbox/broken.tgz")) == "corrupt"
    cloud.drop("inbox/broken.tgz", gzipped(tarred({"1.jpg": b"whole"})))
    assert cloud.label("inbox/broken/1.jpg") == label_of(b"whole")
    cloud.unanswered("inbox/broken.tgz")
    cloud.remove("inbox/broken.tgz")
    cloud.at_rest()
    assert cloud.label("inbox/broken/1.jpg") == label_of(b"whole")
