"""The endpoint is looked at before an image is fetched for it."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from domain.model import EndpointMode
from domain.reply import PROBE
from domain.route import ENDPOINT_BYTES, SERVERLESS_BYTES
from functions.endpoint.readiness import PROBE_SECONDS, NotAnsweringError, Readiness
from tests.support.fakes.aws import error
from tests.support.worlds import folders
from tests.support.worlds.folders import ON_FOLDER
from tests.support.worlds.uploads import SETTINGS, FakeEndpoint, World, active, notification

CAT, DOG = "inbox/cat.jpg", "inbox/dog.jpg"


@dataclass
class Down:
    """Trouble of the endpoint while `is_on`; how often it was met."""

    is_on: bool = True
    met: int = 0

    def __call__(self) -> None:
        if self.is_on:
            self.met += 1
            raise error("InvokeEndpoint", 500, "InternalFailure")


@dataclass
class Scene:
    """One process of on_upload, its endpoint down, and a clock of its own."""

    world: World = field(default_factory=World)
    down: Down = field(default_factory=Down)
    at: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.world.endpoint.trouble = self.down
        self.world.s3.hook = lambda operation, key: self.calls.update([f"{operation} {key}"])
        self.process = self.world.intake(Readiness(lambda: self.at))

    def upload(self, key: str, content: bytes = b"cat", size: int | None = None) -> list[str]:
        self.world.put(key, content)
        self.calls.clear()
        said = notification(key, size=len(content) if size is None else size)
        return self.world.failed(said, process=self.process)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_after_an_image_was_not_answered_the_next_is_not_even_looked_at(scene: Scene) -> None:
    assert scene.upload(CAT) == ["m1"]
    assert scene.calls[f"GetObject {CAT}"] == 1
    assert scene.upload(DOG) == ["m1"], "it comes again"
    assert scene.calls == {}, "nothing of S3 is paid for while the endpoint does not answer"


def test_it_is_probed_every_few_seconds_and_no_more_often(scene: Scene) -> None:
    scene.upload(CAT)
    for _ in range(50):
        scene.upload(DOG)
    assert scene.down.met == 2, "once about the image, and once about a pixel"
    scene.at += PROBE_SECONDS
    scene.upload(DOG)
    assert scene.down.met == 3


def test_once_it_answers_again_everything_is_answered(scene: Scene) -> None:
    scene.upload(CAT)
    scene.upload(DOG)
    scene.down.is_on = False
    assert scene.upload(DOG) == ["m1"], "it was asked less than five seconds ago"
    scene.at += PROBE_SECONDS
    assert scene.upload(DOG, b"dog") == []
    assert scene.upload(CAT) == []
    assert scene.world.endpoint.requests == [PROBE, b"dog", b"cat"]
    assert scene.world.result(CAT)
    assert scene.world.result(DOG)


def test_an_image_that_alone_is_not_answered_holds_up_no_other(scene: Scene) -> None:
    """A container that fails at one image answers the pixel, and the next one at once."""
    scene.upload(CAT)
    scene.down.is_on = False
    assert scene.upload(DOG) == []


def test_without_a_size_in_the_event_one_head_tells_what_to_do(scene: Scene) -> None:
    scene.upload(CAT)
    scene.world.put(DOG, b"dog")
    scene.calls.clear()
    assert scene.world.failed(notification(DOG), process=scene.process) == ["m1"]
    assert scene.calls == {"HeadObject outbox/dog.jpg.json": 1, f"HeadObject {DOG}": 1}


def test_a_removal_is_followed_while_the_endpoint_does_not_answer(scene: Scene) -> None:
    scene.down.is_on = False
    scene.upload(CAT)
    assert scene.world.result(CAT)
    scene.down.is_on = True
    scene.upload(DOG)
    scene.world.remove(CAT)
    removal = notification(CAT, "ObjectRemoved:Delete")
    assert scene.world.failed(removal, process=scene.process) == []
    assert scene.world.result(CAT) is None


@pytest.mark.parametrize(
    ("mode", "limit"), [("instance", ENDPOINT_BYTES), ("serverless", SERVERLESS_BYTES)]
)
def test_what_no_endpoint_takes_goes_to_its_job_all_the_same(
    scene: Scene, mode: EndpointMode, limit: int
) -> None:
    scene.world.mode = mode
    scene.upload(CAT)
    assert scene.upload(DOG, b"x" * (limit + 1)) == []
    assert [url for url, _, _ in scene.world.sqs.sent] == [SETTINGS.folder_queue_url]


def test_a_refusal_of_the_pixel_is_an_answer() -> None:
    class Container:
        """Answers 415 to everything: it is not ours, and it is there."""

        def invoke_endpoint(self, **_: Any) -> Any:
            raised: Any = error("InvokeEndpoint", 424, "ModelError")
            raised.response["OriginalStatusCode"] = 415
            raise raised

    readiness, client = Readiness(lambda: 0.0), Container()
    with pytest.raises(ValueError, match="x"), readiness.watch():
        raise ValueError("x")
    readiness.check(client, active(1))  # type: ignore[arg-type]
    assert not readiness.is_in_doubt


def test_a_clock_that_was_set_back_keeps_nobody_out() -> None:
    scene = Scene()
    scene.at = 1_000_000.0
    scene.upload(CAT)
    scene.upload(CAT)
    scene.down.is_on = False
    scene.at = 0.0
    assert scene.upload(CAT) == []


def test_it_says_why_a_message_comes_again() -> None:
    scene = Scene()
    scene.upload(CAT)
    uploads = scene.world.uploads(Readiness(lambda: 0.0))
    uploads.readiness.is_in_doubt = True
    endpoint: Any = scene.world.endpoint
    with pytest.raises(NotAnsweringError, match="InternalFailure"):
        uploads.readiness.check(endpoint, active(1))


def test_a_page_for_an_endpoint_that_does_not_answer_fetches_one_image_and_no_more() -> None:
    """Else it is five hundred at each receive. The page comes again, and is answered then."""
    down = Down()
    settings = replace(ON_FOLDER, endpoint_max_first=10)
    bounds = replace(folders.SMALL, slice_rows=100, page_rows=100)
    endpoint = FakeEndpoint(trouble=down)
    world = folders.World(settings=settings, endpoint=endpoint, limits=bounds)
    world.fill(*(f"inbox/trip/{number}.jpg" for number in range(8)))
    with pytest.raises(ClientError):
        world.start("trip/")
    gets: list[str] = []
    world.s3.hook = lambda operation, key: gets.extend(
        [key] if operation == "GetObject" and key.startswith("inbox/") else []
    )
    down.met = 0
    with pytest.raises((ClientError, NotAnsweringError)):
        world.deliver()
    assert len(gets) <= 1
    assert down.met == 2, "one image, and one pixel"
    down.is_on = False
    world.drain()
    assert len(world.answered()) == 8
