"""Which image a command names: of this machine's cloud, the one that it can run."""

import json
from pathlib import Path

import pytest

from cli.stages import NotUpError, image_of, image_to_restore
from infra.local import container_image
from infra.local.container_image import ImageCommand
from infra.local.place import VARIABLE, Place
from infra.stage import Stage

LOCAL, DEV = Stage("local"), Stage("dev")
OLDER = "000000000000.dkr.ecr.us-east-1.amazonaws.com/sortbox@sha256:" + "a" * 64


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    place = Place.named({VARIABLE: str(tmp_path)})
    place.images.parent.mkdir(parents=True)
    return place


def test_a_cloud_that_an_earlier_version_started_is_named(place: Place) -> None:
    """SageMaker's words, `Requested image … not found`, told nobody what to do."""
    place.images.write_text(json.dumps({OLDER: {"argv": ["serve"], "env": {}}}))
    with pytest.raises(NotUpError, match=r"Another version of Sortbox.*`\./sortbox up`"):
        image_of(LOCAL, "serve")


def test_after_up_the_image_is_that_of_these_sources(place: Place) -> None:
    container_image.write_commands(place, {})
    assert image_of(LOCAL, "serve") == container_image.uri()


def test_a_rollback_serves_by_the_image_of_before_or_by_one_that_this_machine_has(
    place: Place,
) -> None:
    """An update of Sortbox takes the image of a model before it away; none can be named here."""
    container_image.write_commands(place, {})
    assert image_to_restore(LOCAL, OLDER) == container_image.uri()
    other = ImageCommand(argv=["serve"], cwd="/", env={})
    container_image.write_commands(place, {OLDER: other})
    assert image_to_restore(LOCAL, OLDER) == OLDER, "another image may not serve its model"
    container_image.write_commands(place, {})
    assert image_to_restore(DEV, OLDER) == OLDER, "AWS keeps the image that served the model"
