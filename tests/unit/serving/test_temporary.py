"""The server's temporary files: gone with it, and those of a killed one at the next start."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.temporary import FOLDER_PREFIX, temporary_folder
from tests.support.worlds.serving_process import ROOT

SERVER = """
import sys
from serving.decoding.decoder_pool import start_fork_server
from serving.temporary import temporary_folder

if __name__ == "__main__":
    with temporary_folder():
        start_fork_server()
        print("ready", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """The folder that is the system's own for temporary files."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's are too long for a socket's path
        before, tempfile.tempdir = tempfile.tempdir, folder
        yield Path(folder)
        tempfile.tempdir = before


def server(place: Path) -> "subprocess.Popen[str]":
    """One that has started, and waits."""
    started = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        env={"TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_a_server_that_was_killed_leaves_nothing_behind_the_next_start(place: Path) -> None:
    with server(place) as killed:
        (left,) = place.iterdir()
        assert [path.name[:5] for path in left.iterdir()] == ["pymp-"]
        killed.kill()
    assert names(place) == [left.name]
    with temporary_folder() as own:
        assert names(place) == [own.name]
    assert names(place) == []


def test_a_server_that_runs_keeps_its_folder(place: Path) -> None:
    with server(place) as running:
        (theirs,) = place.iterdir()
        with temporary_folder() as own:
            assert {own, theirs} == set(place.iterdir())
        assert list(theirs.iterdir())
        running.communicate()
    assert names(place) == []


def test_what_somebody_links_there_is_left_alone(place: Path) -> None:
    theirs = place / "precious"
    theirs.mkdir()
    (place / f"{FOLDER_PREFIX}link").symlink_to(theirs)
    with temporary_folder():
        pass
    assert names(place) == ["precious", f"{FOLDER_PREFIX}link"]


def test_a_place_too_long_for_a_socket_is_not_used(place: Path) -> None:
    long = place / ("long" * 20)
    long.mkdir()
    with server(long) as running:
        assert names(long) == []
        running.communicate()
    assert running.returncode == 0
