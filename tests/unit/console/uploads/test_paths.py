"""Where a dropped file goes, and which are not sent."""

import pytest

from console.uploads.content import LARGEST_FILE_BYTES
from console.uploads.paths import NotSent, PathRefusedError, check_key, key_of
from domain.keys import OWN_FOLDERS
from domain.route import LARGEST_BYTES


@pytest.mark.parametrize(
    "path",
    [
        "cat.jpg",
        "IMG_0001.HEIC",
        "trip/day 1/a.jpg",
        "trip.zip",
        "trip/day.tar.gz",
        "<script>alert(1)</script>.png",
        "\u202egnp.exe",
        "straße/überblick & Co. #1?.jpg",
        "a\nb\\c.jpg",
        "日本/写真.heif",
        "x" * 1014 + ".jpg",
    ],
)
def test_a_file_keeps_its_path(path: str) -> None:
    assert key_of(path, 10) == f"inbox/{path}"


@pytest.mark.parametrize(
    ("path", "state", "reason"),
    [
        (".DS_Store", "ignored", "macOS"),
        (".a.jpg", "ignored", "dot"),
        ("trip/Thumbs.db", "ignored", ""),
        ("__MACOSX/a.jpg", "ignored", "in a folder"),
        (f"{sorted(OWN_FOLDERS)[0]}/a.jpg", "ignored", "rename the folder"),
        ("trip/_READY", "marker", "when all files"),
        ("trip/day 1/_READY", "marker", "when all files"),
        ("x" * 1015 + ".jpg", "refused", "1,018 bytes"),
        ("ü" * 510 + ".jpg", "refused", "1,018 bytes"),
        ("a\ud800.jpg", "refused", "half of a character"),
        ("../a.jpg", "refused", "empty, . or .."),
        ("trip//a.jpg", "refused", "empty, . or .."),
        ("/etc/passwd", "refused", "empty, . or .."),
        ("trip/./a.jpg", "refused", "empty, . or .."),
        ("", "refused", "empty, . or .."),
        ("trip/", "refused", "empty, . or .."),
    ],
)
def test_a_file_is_not_sent_for_a_reason(path: str, state: str, reason: str) -> None:
    outcome = key_of(path, 10)
    assert isinstance(outcome, NotSent)
    assert outcome.state == state
    assert reason in outcome.reason
    with pytest.raises(PathRefusedError):
        check_key(path)


@pytest.mark.parametrize(
    ("path", "most"), [("a.jpg", LARGEST_BYTES), ("a.zip", LARGEST_FILE_BYTES)]
)
def test_what_nothing_would_answer_is_refused_before_it_is_sent(path: str, most: int) -> None:
    assert key_of(path, most) == f"inbox/{path}"
    outcome = key_of(path, most + 1)
    assert isinstance(outcome, NotSent)
    assert "larger than the largest" in outcome.reason
