"""What a folder ignores is named with its reason: in the summary, on the page, and by status."""

from typing import Any

from aws.bucket import Bucket
from batch.reports.folder_report import MOST_IGNORED, Counts
from batch.run import begin
from domain.scope import Scope
from infra.diagnostics.findings import StatusSources
from infra.diagnostics.status import explain, of_left_out
from infra.stage import Stage
from tests.support.builders.pages import Page
from tests.support.worlds.folders import World

IGNORED = {
    "inbox/trip/.DS_Store": "macOS: settings of a folder",
    "inbox/trip/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg": (
        "in a folder that is ignored (Synology: thumbnails and indexes)"
    ),
    "inbox/trip/_SUCCESS": "Hadoop: a marker of a finished or running job",
    "inbox/trip/b_$folder$": "Hadoop: a marker of a folder",
}


def look_at(world: World) -> StatusSources:
    s3: Any = world.s3
    none: Any = None
    return StatusSources(Stage("test"), Bucket(s3, "bucket"), none, none)


def filled() -> World:
    world = World()
    world.fill("inbox/trip/_MG_1234.JPG", "inbox/trip/a.jpg", *IGNORED)
    world.run("trip/")
    return world


def test_a_summary_names_each_ignored_file_with_its_reason() -> None:
    summary = filled().summary("trip/")
    assert summary["images"] == summary["classified"] == 2
    assert summary["ignored"] == len(IGNORED)
    assert {file["key"]: file["reason"] for file in summary["ignored_files"]} == IGNORED
    assert summary["ignored_reasons"] == dict.fromkeys(IGNORED.values(), 1)


def test_a_page_shows_each_ignored_file_with_its_reason() -> None:
    page = filled().file("trip/", "_report.html")
    Page(page).check()
    for key, reason in IGNORED.items():
        assert key.removeprefix("inbox/") in page
        assert reason in page
    assert "more are not listed" not in page


def test_status_says_how_many_files_of_a_folder_are_ignored_and_why() -> None:
    (finding,) = of_left_out(look_at(filled()), Scope("trip/"))
    assert finding.sentence.startswith("Ignored files: 1 (")
    for reason in IGNORED.values():
        assert reason in finding.sentence


def test_status_says_of_one_file_why_it_is_ignored() -> None:
    for key, reason in IGNORED.items():
        (finding,) = explain(look_at(World()), key)
        assert finding.sentence == f"{key} is ignored: {reason}."


def test_a_million_ignored_files_are_counted_and_the_first_are_named() -> None:
    counts = Counts()
    for number in range(MOST_IGNORED + 3):
        counts.add_ignored(f"inbox/trip/._{number}.jpg", "macOS: attributes of another file")
    summary = counts.summary(begin(World().cloud, Scope("trip/")))
    assert summary["ignored"] == MOST_IGNORED + 3
    assert len(summary["ignored_files"]) == MOST_IGNORED
    assert summary["ignored_reasons"] == {"macOS: attributes of another file": MOST_IGNORED + 3}
