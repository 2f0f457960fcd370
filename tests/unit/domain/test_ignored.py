"""One list of files that are nobody's image, and nothing on it that may be a person's."""

import pytest

from batch.claim import SUMMARY
from batch.reports.folder_page import PAGE
from batch.status import STATUS
from domain.ignored.names import FILES, FOLDERS, HIDDEN
from domain.ignored.reasons import why_folder_ignored, why_ignored, why_path_ignored
from domain.keys import result_key
from domain.route import READY, Ignored, route

OURS = (READY, PAGE, SUMMARY, STATUS)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".DS_Store", "macOS: settings of a folder"),
        ("._IMG_1.JPG", "macOS: attributes of another file"),
        ("Icon\r", "macOS: settings of a folder"),
        (".IMG_1.HEIC.icloud", "iCloud: a placeholder of a file that is not on the computer yet"),
        ("Thumbs.db", "Windows: thumbnails"),
        ("DESKTOP.INI", "Windows: settings of a folder"),
        ("cat.jpg:Zone.Identifier", "Windows: the origin of another file"),
        ("trip_$folder$", "Hadoop: a marker of a folder"),
        ("_SUCCESS", "Hadoop: a marker of a finished or running job"),
        ("cat.jpg._COPYING_", "Hadoop: a file that is still being copied"),
        ("cat.jpg@SynoEAStream", "Synology: attributes of another file"),
        ("IMG_1.xmp", "a photo program: edits and keywords of a photograph"),
        ("IMG_1.JPG.pp3", "RawTherapee: edits of a photograph"),
        ("~syncthing~cat.jpg.tmp", "Syncthing: a file that is still being transferred"),
        (".gitignore", HIDDEN),
        (".hidden.jpg", HIDDEN),
    ],
    ids=ascii,
)
def test_a_system_file_has_its_reason(name: str, reason: str) -> None:
    assert why_ignored(name) == reason


@pytest.mark.parametrize(
    "folder",
    ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "_temporary", ".git", "Previews.lrdata"],
)
def test_all_of_a_system_folder_is_ignored(folder: str) -> None:
    reason = why_folder_ignored(folder)
    assert reason
    assert why_path_ignored(f"day/{folder}/cat.jpg/1.jpg") == (
        f"in a folder that is ignored ({reason})"
    )
    assert isinstance(route(f"inbox/trip/{folder}/cat.jpg"), Ignored)


@pytest.mark.parametrize(
    "name",
    [
        "_MG_1234.JPG",
        "_DSC0042.JPG",
        "_1040123.JPG",
        "__1.png",
        "_",
        "...",
        "Icon",
        "metadata.jpg",
        "_SUCCESS.jpg",
        "thumbs.db.jpg",
        "recycle.png",
        "cat\nThumbs.db",
        "$1.jpg",
        "~1.jpg",
        "@home.jpg",
        "#1.jpg",
    ],
    ids=ascii,
)
def test_a_name_that_may_be_a_persons_is_not_on_the_list(name: str) -> None:
    assert why_ignored(name) is None


@pytest.mark.parametrize(
    "folder", ["_background_", "_shoot", "weights", "CVS", "Thumbs", "2026", "..", "...", "macosx"]
)
def test_a_persons_folder_is_not_on_the_list(folder: str) -> None:
    assert why_folder_ignored(folder) is None


@pytest.mark.parametrize("name", OURS)
def test_what_sortbox_writes_and_what_would_be_answered_there_is_ignored(name: str) -> None:
    assert why_ignored(name)
    beside = result_key("inbox/trip/x").replace("x.json", name).removesuffix(".json")
    assert isinstance(route(beside.replace("outbox/", "inbox/", 1)), Ignored) or name == READY


def test_reasons_are_few_and_no_name_is_listed_twice() -> None:
    """A folder's summary counts files by reason, so that there must not be one for each file."""
    for rows in (FILES, FOLDERS):
        names = [name for row in rows for name in row.names]
        assert len(names) == len(set(names))
        assert names == [name.lower() for name in names]
        assert len({row.reason for row in rows}) <= 60
