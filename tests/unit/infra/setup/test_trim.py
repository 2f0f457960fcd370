"""What is deleted of packages: rules that still match, libraries that still load."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from infra import photos
from infra.setup import trim
from infra.setup.environments import REPOSITORY, SORTBOX
from infra.setup.trim import Unused

SITE = Path(str(distribution("botocore").locate_file("")))
LARGEST = 430 * 1000 * 1000
"""Bytes of a laptop's packages before their symbols go. With bytecode, the emulator, osls and Node,
all of it is to take 600 MB; `make bench-install` measures that.
"""

whole = pytest.mark.skipif(
    (SORTBOX / ".trimmed").exists(), reason="what the rules would match is deleted here"
)


def test_what_a_rule_names_goes_and_what_it_keeps_stays(tmp_path: Path) -> None:
    for name in ("data/cat.png", "data/text.json", "code/a.py", "code/deep/b.py", "top.py"):
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    files, keep = ("package/*", "package/data/*"), ("package/data/", "package/data/*.png")
    trim.trim(tmp_path, [Unused("package", "a test", files, keep)])
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [tmp_path / "package" / "data" / "cat.png"]


@whole
@pytest.mark.parametrize("rule", trim.LAPTOP, ids=lambda rule: f"{rule.package}-{rule.files[0]}")
def test_every_rule_still_matches_the_version_that_is_pinned(rule: Unused) -> None:
    bare = [pattern for pattern in rule.files if not list(SITE.glob(pattern))]
    assert not bare, f"{rule.package} has moved its files: {rule.because} are no longer there"
    kept = [pattern for pattern in rule.keep if not list(SITE.glob(pattern))]
    assert not kept, f"{rule.package} has moved what is to stay"


def test_every_service_that_is_called_stays() -> None:
    called = {
        name
        for package in ("batch", "cli", "functions", "infra", "training")
        for path in (REPOSITORY / package).rglob("*.py")
        for name in re.findall(r"\.(?:client|resource)\(\s*\"([a-z0-9-]+)\"", path.read_text())
    }
    assert {"s3", "sagemaker"} <= called
    assert called <= set(trim.SERVICES), "a laptop has no interface of the others"


def test_every_photograph_that_the_demo_shows_stays() -> None:
    assert set(photos.SHIPPED.values()) == set(trim.PHOTOGRAPHS)


@whole
def test_a_laptops_packages_are_small_enough() -> None:
    """By the files that are installed here, at the versions of the laptop's lock."""
    gone = {path for rule in trim.LAPTOP for path in rule.matches(SITE)}
    lock = (REPOSITORY / "infra" / "tools" / "laptop.txt").read_text()
    total = 0
    for name in sorted(set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE))):
        for file in distribution(name).files or ():
            path = Path(str(file.locate()))
            if path.is_file() and path.suffix != ".pyc" and not gone & {path, *path.parents}:
                total += path.stat().st_size
    assert 200 * 1000 * 1000 < total < LARGEST


COMPILED = "hypothesis._native"
"""In no laptop's lock: there, libraries have lost their symbols already."""


def compiled() -> str:
    """The path of a compiled module with its symbols."""
    spec = importlib.util.find_spec(COMPILED)
    assert spec is not None
    assert spec.origin is not None
    return spec.origin


def library(folder: Path) -> Path:
    return Path(shutil.copy(compiled(), folder))


@whole
def test_a_library_loads_without_its_symbols(tmp_path: Path) -> None:
    path = library(tmp_path)
    other = tmp_path / "cached"
    os.link(path, other)
    size, mode = path.stat().st_size, path.stat().st_mode
    trim.strip_libraries(tmp_path)
    assert path.stat().st_size < size / 2
    assert path.stat().st_mode == mode
    assert other.stat().st_size == size, "uv's cache, and who else it was linked to, keep theirs"
    script = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location(sys.argv[1], sys.argv[2])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(sorted(dir(module)))"
    )
    command = [sys.executable, "-c", script, COMPILED]
    stripped, original = (
        subprocess.run([*command, one], capture_output=True, text=True, check=True).stdout
        for one in (path, compiled())
    )
    assert stripped == original
    assert "__file__" in stripped


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh\n" * 20_000,
        b"\x7fELF\x01\x01" + bytes(200_000),
        b"\x7fELF\x02\x01" + b"\xff" * 200_000,
    ],
    ids=["empty", "a script", "another class", "a damaged header"],
)
def test_anything_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sample.so"
    path.write_bytes(content)
    trim.strip_libraries(tmp_path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
