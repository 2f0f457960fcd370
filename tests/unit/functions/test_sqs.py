"""A batch of messages: side by side, each with its own fate; and the handler around it."""

from threading import Barrier
from typing import Any

import pytest

from functions import runtime
from functions.on_upload import build
from functions.settings import SettingsError
from functions.sqs import wait_seconds
from tests.support.fakes.aws import error
from tests.support.worlds.uploads import World, notification

CAT = "inbox/cat.jpg"


@pytest.fixture
def world() -> World:
    return World()


def void(_: object) -> None:
    """For a callback that is to return nothing."""


def test_trouble_with_one_image_is_its_own(world: World) -> None:
    for name in "abc":
        world.put(f"inbox/{name}", b"cat")

    def access_denied_to_b(operation: str, key: str) -> None:
        if key == "inbox/b":
            raise error(operation, 403, "AccessDenied")

    world.s3.hook = access_denied_to_b
    assert world.failed(*(notification(f"inbox/{name}") for name in "abc")) == ["m2"]
    assert world.result("inbox/a") is not None
    assert world.result("inbox/c") is not None


def test_trouble_is_logged_with_the_name_of_its_image(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.put(CAT, b"cat")
    world.endpoint.trouble = lambda: void(1 / 0)
    world.failed(notification(CAT))
    (logged,) = [record.exc_info for record in caplog.records if record.levelname == "WARNING"]
    assert logged is not None
    assert logged[1] is not None
    assert logged[1].__notes__ == [f"about {CAT}"]


def test_a_message_that_fails_is_put_off_longer_each_time(world: World) -> None:
    world.failed("nonsense", receives=1)
    world.failed("nonsense", receives=4)
    (_, _, first), (_, _, fourth) = world.sqs.visibility
    assert 2 <= first <= 5
    assert 20 <= fourth <= 40


def test_a_message_that_cannot_be_put_off_fails_alone(world: World) -> None:
    def gone(**_: Any) -> dict[str, Any]:
        raise error("ChangeMessageVisibility", 400, "InvalidParameterValue")

    world.put(CAT, b"cat")
    world.sqs.change_message_visibility = gone  # type: ignore[method-assign]
    assert world.failed("nonsense", notification(CAT)) == ["m1"]
    assert world.result(CAT) is not None


def test_messages_that_fail_together_do_not_come_again_together(world: World) -> None:
    world.failed(*["nonsense"] * 50, receives=5)
    waits = [seconds for _, _, seconds in world.sqs.visibility]
    assert len(set(waits)) > 10, (
        "All that an outage held up would come back in the same second, and be the next outage."
    )
    assert min(waits) >= 20
    assert max(waits) <= 80


@pytest.mark.parametrize(
    ("receives", "chance", "seconds"),
    [(1, 0.0, 2), (1, 1.0, 5), (2, 0.0, 5), (2, 1.0, 10), (4, 0.5, 30), (9, 0.0, 45), (9, 1.0, 90)],
)
def test_a_wait_is_spread_over_its_upper_half(receives: int, chance: float, seconds: int) -> None:
    assert wait_seconds(5, receives, lambda: chance) == seconds


@pytest.mark.parametrize("base", [1, 5])
def test_hours_of_trouble_make_no_dead_letters_and_are_made_up_for_at_once(base: int) -> None:
    shortest = [wait_seconds(base, receives, chance=lambda: 0.0) for receives in range(1, 500)]
    longest = [wait_seconds(base, receives, chance=lambda: 1.0) for receives in range(1, 500)]
    assert sum(shortest) > 6 * 3600
    assert max(longest) == 90
    assert sum(longest) < 13 * 3600


def test_the_images_of_one_invocation_are_classified_side_by_side(world: World) -> None:
    """Each waits in the endpoint for all ten: one after the other, none would come back."""
    together = Barrier(10)
    names = [f"inbox/{number}.jpg" for number in range(10)]
    for name in names:
        world.put(name, name.encode())
    world.endpoint.trouble = lambda: void(together.wait(timeout=10))
    assert world.failed(*map(notification, names)) == []


def test_the_handler_refuses_to_start_without_its_settings() -> None:
    with pytest.raises(SettingsError, match="INBOX_QUEUE_URL"):
        build({"BUCKET": "b", "STAGE": "dev"})


def test_a_handler_is_built_once_and_by_its_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "dev")
    built: list[object] = []

    def build_echo(environ: object) -> Any:
        built.append(environ)

        def echo(event: runtime.Event) -> Any:
            runtime.count("Messages")
            return event["say"]

        return echo

    handler = runtime.lambda_handler(build_echo)
    assert built == []
    assert [handler({"say": word}, Context()) for word in ("a", "b")] == ["a", "b"]
    assert len(built) == 1


class Context:
    """What powertools reads of Lambda's context."""

    function_name = "onUpload"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:1:function:onUpload"
    aws_request_id = "1"
