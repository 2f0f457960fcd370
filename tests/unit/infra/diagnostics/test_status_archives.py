"""`./sortbox status` says how far an archive is unpacked, and what was left out of it."""

from dataclasses import replace
from itertools import takewhile
from typing import Any

from aws.bucket import Bucket
from domain.route import PackedFolder, route
from domain.scope import Scope
from functions.messages import Unpack
from infra.diagnostics.archives import of_archive, of_live_archives
from infra.diagnostics.findings import StatusFinding, StatusSources
from infra.stage import Stage
from tests.support.builders.packed import zipped
from tests.support.worlds.folders import SMALL, World

FILES = {f"{n}.jpg": b"1" for n in range(4)} | {f".{n}": b"" for n in range(7)}


def half_way() -> World:
    world = World(limits=replace(SMALL, unpack_entries=2, unpack_seconds=0))
    world.put("inbox/trip.zip", zipped(FILES))
    world.send(Unpack("inbox/trip.zip"))
    world.deliver()
    return world


def sources(world: World) -> StatusSources:
    s3: Any = world.s3
    none: Any = None
    return StatusSources(Stage("test"), Bucket(s3, "bucket"), none, none)


def findings(world: World) -> list[StatusFinding]:
    """Those before the model and the queues, which this world has none of."""
    archive = route("inbox/trip.zip")
    assert isinstance(archive, PackedFolder)
    explained = of_archive(sources(world), archive)
    return [*takewhile(lambda finding: finding.about != "model", explained)]


def test_an_archive_that_is_being_unpacked_says_how_far_it_is() -> None:
    world = half_way()
    (progress,) = of_live_archives(sources(world), Scope("trip/"))
    assert progress.sentence == (
        "inbox/trip.zip is being unpacked since 2026-01-01T00:00:00Z: 2 of 11 entries, 2 files, "
        "0 left out."
    )
    assert progress.facts["entries_total"] == 11
    assert list(of_live_archives(sources(world), Scope("other/"))) == []
    assert list(of_live_archives(sources(world))) == [progress]


def test_an_archive_that_is_unpacked_says_what_was_left_out() -> None:
    world = half_way()
    world.drain()
    *_, road, archive = findings(world)
    assert road.sentence == "It is an archive, which is unpacked into inbox/trip/."
    assert archive.sentence.startswith(
        "The archive is unpacked: 4 files in inbox/trip/, 7 entries left out: '.0' (hidden"
    )
    assert archive.sentence.endswith("; and 2 more.")
    assert list(of_live_archives(sources(world))) == []


def test_names_that_were_guessed_are_counted() -> None:
    world = World()
    world.put("inbox/trip.zip", zipped({"x.jpg": b"1"}).replace(b"x.jpg", b"\x81.jpg"))
    world.send(Unpack("inbox/trip.zip"))
    world.drain()
    assert findings(world)[-1].sentence.endswith(
        "; names read as code page 437 or Latin-1, because they are not UTF-8: 1."
    )


def test_a_rejected_archive_says_why() -> None:
    world = World()
    world.put("inbox/trip.zip", b"no archive")
    world.send(Unpack("inbox/trip.zip"))
    world.drain()
    said = {finding.about: finding.sentence for finding in findings(world)}
    assert "rejected, truncated: The file is not a zip archive" in said["answer"]
    assert said["archive"] == "The archive is rejected: 0 files in inbox/trip/."


def test_an_archive_without_a_report_is_still_waiting() -> None:
    world = World()
    world.put("inbox/trip.zip", zipped(FILES))
    *_, waiting = findings(world)
    assert waiting.sentence == "This version of it is not unpacked yet."
    world.send(Unpack("inbox/trip.zip"))
    world.drain()
    world.put("inbox/trip.zip", zipped({"1.jpg": b"another"}))
    *_, report, waiting = findings(world)
    assert report.sentence.startswith("The archive is unpacked")
    assert waiting.sentence == "This version of it is not unpacked yet."
