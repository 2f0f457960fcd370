"""Labels as folders that any disk holds, and back."""

import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.class_folders import DEVICES, SPLITS, WEIGHTS, ClassFolders, folder_of, label_of
from domain.file_names import NAME_BYTES, folded
from domain.ignored.reasons import why_folder_ignored
from tests.support.builders.pages import HOSTILE

odd = st.sampled_from(
    ["", "_x", ".x", "..", ".", "con", "NUL.txt", "a.", "a ", " a", "a/b", "%", "%41", "%2E\u0301"]
)
long_labels = st.builds(
    lambda piece, times, rest: piece * times + rest,
    st.text(st.characters(), min_size=1, max_size=3) | odd.filter(bool),
    st.integers(80, 1000),
    st.text(st.characters(), max_size=3),
)
alphabet = st.sampled_from("aA_. %-25E/\\:ÄäéеK\u0301\u0338\u212a\ud800\u200dß\x00\n猫🐈")
labels = st.one_of(st.text(st.characters()), st.text(alphabet, max_size=12), odd, long_labels)


@given(labels)
@example("x" * 250 + "_" + "\u0301" * 4)
@example("a" * 300 + " con")
@example("%empty")
@example("a%-")
def test_a_folder_is_read_as_the_label_it_was_made_of(label: str) -> None:
    folder = folder_of(label)
    assert label_of(folder) == label
    decomposed = unicodedata.normalize("NFD", str(folder))
    assert label_of(PurePosixPath(decomposed)) == label, "some disks decompose names"


@given(labels)
def test_every_disk_holds_the_folder_and_training_reads_it(label: str) -> None:
    for segment in folder_of(label).parts:
        assert len(segment.encode()) <= NAME_BYTES
        assert not set(segment) & set('/\\:*?"<>|'), "Windows forbids them"
        assert segment.isprintable()
        assert segment[-1] not in " ."
        assert segment.partition(".")[0].rstrip(" ").lower() not in DEVICES
        assert not why_folder_ignored(segment)
        assert not segment.startswith(("_", "."))
        assert segment not in SPLITS
        assert segment != WEIGHTS


@given(st.lists(labels, max_size=8))
@example(["Cat", "cat", "CAT", "/AT", "/at", "ß", "ss", "SS"])
@example(["x" * 300, "X" * 300, "x" * 299 + "X"])
def test_folders_of_one_data_set_differ_on_disks_that_ignore_case(some: list[str]) -> None:
    folders = ClassFolders()
    made = {label: folders.folder_of(label) for label in some}
    assert {label: folders.folder_of(label) for label in reversed(some)} == made
    assert {label_of(folder) for folder in made.values()} == set(some)
    segments = {one for path in made.values() for one in (path, *path.parents[:-1])}
    assert len({folded(str(one)) for one in segments}) == len(segments)


@pytest.mark.parametrize(
    "label",
    ["cat", "t-shirt", "Egyptian cat", "Äpfel", "кот", "猫", "50% off", "a+b (1), c", "n02123045"],
)
def test_readable_names_stay_as_they_are(label: str) -> None:
    assert str(folder_of(label)) == label


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("", "%empty"),
        ("%empty", "%25empty"),
        ("..", "%2E%2E"),
        ("_misc", "%5Fmisc"),
        (".misc", "%2Emisc"),
        ("and/or", "and%2For"),
        ("con", "%63on"),
        ("Nul.txt", "%4Eul.txt"),
        ("etc.", "etc%2E"),
        ("test", "%74est"),
        ("weights", "%77eights"),
        ("lost+found", "%6Cost+found"),
        ("sky.lrdata", "%73%6B%79%2E%6C%72%64%61%74%61"),
        ("50%25", "50%2525"),
        ("a%-", "a%25-"),
        ("x" * 300, f"{'x' * 246}%-/{'x' * 54}"),
    ],
)
def test_what_no_disk_or_no_training_takes_is_escaped(label: str, folder: str) -> None:
    assert str(folder_of(label)) == folder


@pytest.mark.parametrize(
    ("folder", "label"),
    [("a%20b", "a b"), ("100%AA", "100%AA"), ("50% of 100%25", "50% of 100%25"), ("A\u0308", "Ä")],
)
def test_folders_that_people_name_are_read(folder: str, label: str) -> None:
    assert label_of(PurePosixPath(folder)) == label


def test_an_existing_folder_of_a_label_is_kept() -> None:
    folders = ClassFolders([PurePosixPath("Cat"), PurePosixPath("A\u0308pfel")])
    assert str(folders.folder_of("Cat")) == "Cat"
    assert str(folders.folder_of("cat")) == "%63%61%74"
    assert str(folders.folder_of("Äpfel")) == "Äpfel", "it is there, decomposed"


@pytest.mark.parametrize("label", [*HOSTILE, "..", ".", "", "a/../../b", "-rf", "con\x00"])
def test_a_hostile_label_stays_below_its_folder(label: str, tmp_path: Path) -> None:
    folder = tmp_path / folder_of(label)
    assert tmp_path in folder.resolve().parents
    folder.mkdir(parents=True)
