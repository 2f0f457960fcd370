"""Whatever names an archive has, each entry is unpacked once or left out."""

import tarfile
from dataclasses import replace
from pathlib import PurePosixPath
from random import Random

import pytest

from batch.archives.members import target
from domain.keys import SAME_NAMES, unpacked_key
from domain.route import PackedFolder, route
from functions.messages import Unpack
from tests.support.builders.packed import gzipped, tarred, zipped
from tests.support.worlds.folders import SMALL, World

NAMES = (
    *("a.jpg", "A.jpg", "a (2).jpg", "a (3).jpg", "./a.jpg", "././b.jpg", "d/a.jpg", "d", "d/"),
    *("é.jpg", "e\N{COMBINING ACUTE ACCENT}.jpg", "ß.jpg", "ẞ.jpg", "パンツ.jpg", "\u202egpj.exe"),
    *("d/../a.jpg", "../x.jpg", "/abs.jpg", "C:\\x.jpg", "C:/x.jpg", "a//b.jpg", "a/./b.jpg"),
    *("a\nb.jpg", "a\\b.jpg", "d\\e/f.jpg", ".", "..", " ", "-rf", "CON", "*?.jpg", ".//c.jpg"),
    *("_READY", "d/_READY", "_SUCCESS", "Thumbs.db", ".hidden", "__MACOSX/a.jpg", "a.jpg.json"),
    *("in.zip", "d/in.tar.gz", "_reclassify/x.jpg", "x" * 256, "x" * 250 + "/" + "y" * 250),
    *("n/" * 300 + "a.jpg", "/".join(4 * ["z" * 250]) + ".jpg"),
)
KEY, THEIRS = "inbox/t.{}", "inbox/t/a (2).jpg"
Files = list[tuple[str, bytes]]


def packed(form: str, files: Files, random: Random) -> bytes:
    if form == "zip":
        return bytes(random.choice([0, 700])) + zipped(files)
    content = tarred(files, random.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
    return content if form == "tar" else gzipped(content) + bytes(random.choice([0, 512]))


def places(form: str, name: str) -> list[str]:
    """The keys that an entry may have."""
    archive = route(KEY.format(form))
    assert isinstance(archive, PackedFolder)
    is_windows = form == "zip" and "/" not in name
    key = target(archive, name.replace("\\", "/") if is_windows else name, 1)
    if not isinstance(key, str):
        return []
    path = PurePosixPath(key)
    numbered = [path.with_stem(f"{path.stem} ({n})") for n in range(2, SAME_NAMES + 1)]
    return [key, *map(str, numbered)]


@pytest.mark.parametrize("form", ["zip", "tar", "tgz"])
@pytest.mark.parametrize("seed", range(30))
def test_each_entry_is_unpacked_once_or_left_out(form: str, seed: int) -> None:
    random, key = Random(seed), KEY.format(form)
    contents = [b"", b"1", b"2", random.randbytes(9_000)]
    files = [(random.choice(NAMES), random.choice(contents)) for _ in range(random.randint(1, 14))]
    files = [(name, b"" if name.endswith("/") else content) for name, content in files]
    most, threads, are_theirs = (
        random.choice([1, 3, 64]),
        random.choice([1, 4]),
        random.random() < 0.5,
    )
    limits = replace(SMALL, unpack_entries=most, unpack_seconds=0, heads_at_once=threads)
    world = World(limits=limits)
    if are_theirs:
        world.put(THEIRS, b"theirs")
    before: dict[str, str] = {}
    for _ in range(2):
        world.put(key, packed(form, files, Random(seed)))
        world.send(Unpack(key))
        world.drain()
        found = {image: world.s3.objects[image] for image in world.images() if image != key}
        assert all(image.startswith("inbox/t/") for image in found)
        report = world.read_json(unpacked_key(key))
        expected = [(name, content) for name, content in files if not name.endswith("/")]
        assert report["files"] + report["left_out"] == len(expected)
        for name, content in expected:
            allowed = places(form, name)
            is_taken = are_theirs and allowed[:1] == [THEIRS]
            there = [found[at].body for at in allowed if at in found]
            assert not allowed or is_taken or content in there
        assert not are_theirs or found[THEIRS].body == b"theirs"
        versions = {image: stored.version_id for image, stored in found.items()}
        assert before in ({}, versions), "the same archive has written something again"
        before = versions
