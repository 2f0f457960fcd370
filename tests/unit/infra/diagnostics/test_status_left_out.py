"""`./sortbox status` says which images could not be read, or were given up, and why."""

from typing import Any

import pytest

from aws.bucket import Bucket
from batch.context import Limits
from domain.scope import Scope
from functions.messages import Start
from infra.diagnostics.findings import StatusSources, head_of, of_access
from infra.diagnostics.status import MAX_SHOWN, of_left_out
from infra.stage import Stage
from tests.support.fakes.sagemaker import no_one
from tests.support.fakes.unreadable import KINDS, Denied
from tests.support.worlds.folders import World, with_late


def look_at(world: World) -> StatusSources:
    s3: Any = world.s3
    none: Any = None
    return StatusSources(Stage("test"), Bucket(s3, "bucket"), none, none)


def test_a_folder_tells_how_many_could_not_be_read_and_the_first_of_them() -> None:
    world = World(limits=Limits(heads_at_once=1), settings=with_late(30))
    world.put("outbox/trip/_summary.json", b"{}")
    keys = [f"inbox/trip/{number:02}.jpg" for number in range(MAX_SHOWN + 4)]
    world.fill(*keys, "inbox/trip/fine.jpg")
    world.s3.hook = Denied(dict.fromkeys(keys, KINDS["archived"]))
    world.send(Start("trip/"))
    world.drain()
    (told,) = of_left_out(look_at(world), Scope("trip/"))
    assert told.sentence.startswith(
        f"Rejected as unreadable: {MAX_SHOWN + 4}. {keys[0]} (The image is"
    )
    assert "Restore it" in told.sentence
    assert told.sentence.endswith("; and 4 more.")
    assert told.facts["images"] == MAX_SHOWN + 4
    assert [each["image"] for each in told.facts["first"]] == keys[:MAX_SHOWN]


def test_a_folder_tells_what_its_last_run_did_not_answer() -> None:
    world = World(settings=with_late(0))
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    for answers in (lambda key: "1" in key, no_one, no_one):
        (job,) = world.sagemaker.running()
        world.sagemaker.end(job, answers)
        world.changed(job)
    (told,) = of_left_out(look_at(world), Scope("trip/"))
    assert told.sentence == (
        "Not answered by the last run: 1. "
        "inbox/trip/2.jpg (the transform job wrote nothing for it)."
    )


def test_a_folder_in_which_all_is_well_has_nothing_to_tell() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg")
    world.put("inbox/trip/2.jpg", b"junk")
    world.run("trip/")
    assert list(of_left_out(look_at(world), Scope("trip/"))) == []


@pytest.mark.parametrize("name", KINDS)
def test_an_image_tells_why_it_cannot_be_read(name: str) -> None:
    world = World()
    world.put("inbox/a.jpg", b"cat")
    world.s3.hook = Denied({"inbox/a.jpg": KINDS[name]})
    look = look_at(world)
    found = head_of(look, "inbox/a.jpg")
    assert found is not None
    assert found.listed.etag == world.s3.objects["inbox/a.jpg"].etag
    (told,) = of_access(look, "inbox/a.jpg")
    assert KINDS[name].says in told.sentence
    world.s3.hook = Denied()
    assert list(of_access(look, "inbox/a.jpg")) == []
