"""A folder's timer is outdated by every later sign of life."""

import json
from typing import Any

import pytest

from domain.keys import debounce_key, waiting_key
from domain.scope import Scope
from functions.debounce import MOST_FOLDERS, Debouncer, is_quiet
from functions.messages import QuietTimer
from tests.support.fakes.aws import FakeS3, FakeSQS, error

TRIP = Scope("trip/")


class Shore:
    """A process that beats, with its bucket, its queue and its clock."""

    def __init__(self, quiet_seconds: int = 60) -> None:
        s3: Any = FakeS3()
        sqs: Any = FakeSQS()
        self.now = 1000.0
        self.s3, self.sqs = s3, sqs
        self.debouncer = Debouncer(s3, "bucket", sqs, "folder", quiet_seconds, now=lambda: self.now)

    def timers(self) -> list[QuietTimer]:
        return [QuietTimer(**body["quiet"]) for _, body, _ in self.sqs.sent]


@pytest.fixture
def shore() -> Shore:
    return Shore()


def test_a_beat_is_written_before_its_timer_is_sent(shore: Shore) -> None:
    shore.s3.hook = lambda operation, key: void(shore.sqs.sent and pytest.fail("sent too early"))
    shore.debouncer.debounce(TRIP)
    assert json.loads(shore.s3.objects[debounce_key(TRIP.token)].body)["path"] == "trip/"
    assert [delay for _, _, delay in shore.sqs.sent] == [60]


def void(_: object) -> None:
    """For a hook that is to return nothing."""


def test_a_folder_that_is_filled_fast_beats_once_in_ten_seconds(shore: Shore) -> None:
    for second in range(40):
        shore.now = 1000.0 + second
        shore.debouncer.debounce(TRIP)
    assert len(shore.timers()) == 4


def test_with_a_short_quiet_time_it_beats_twice_in_that_time() -> None:
    shore = Shore(quiet_seconds=4)
    for second in range(8):
        shore.now = 1000.0 + second
        shore.debouncer.debounce(TRIP)
    assert len(shore.timers()) == 4


def test_two_folders_beat_for_themselves(shore: Shore) -> None:
    shore.debouncer.debounce(TRIP)
    shore.debouncer.debounce(Scope("home/"))
    assert [timer.path for timer in shore.timers()] == ["trip/", "home/"]


def test_a_beat_that_could_not_be_sent_is_repeated(shore: Shore) -> None:
    send = shore.sqs.send_message

    def refuse(**_: Any) -> None:
        raise error("SendMessage", 503, "ServiceUnavailable")

    shore.sqs.send_message = refuse
    with pytest.raises(Exception, match="ServiceUnavailable"):
        shore.debouncer.debounce(TRIP)
    shore.sqs.send_message = send
    shore.debouncer.debounce(TRIP)
    assert len(shore.timers()) == 1


def test_a_clock_that_was_set_back_silences_no_folder(shore: Shore) -> None:
    shore.debouncer.debounce(TRIP)
    shore.now -= 3600
    shore.debouncer.debounce(TRIP)
    assert len(shore.timers()) == 2


def test_only_so_many_folders_are_remembered(shore: Shore) -> None:
    shore.debouncer.debounce(TRIP)
    for number in range(MOST_FOLDERS):
        shore.debouncer.debounce(Scope(f"{number}/"))
    shore.debouncer.debounce(TRIP)
    assert [timer.path for timer in shore.timers()].count("trip/") == 2


def test_the_last_timer_finds_its_folder_quiet_and_an_earlier_one_does_not(shore: Shore) -> None:
    shore.debouncer.debounce(TRIP)
    shore.now += 30
    shore.debouncer.debounce(TRIP)
    earlier, last = shore.timers()
    assert not is_quiet(shore.s3, "bucket", earlier)
    assert is_quiet(shore.s3, "bucket", last)


def test_a_timer_whose_beat_has_expired_finds_its_folder_quiet(shore: Shore) -> None:
    assert is_quiet(shore.s3, "bucket", QuietTimer("trip/", "0123456789"))


def test_a_beat_that_may_not_be_read_is_trouble(shore: Shore) -> None:
    def refuse(operation: str, key: str) -> None:
        raise error(operation, 403, "AccessDenied")

    shore.s3.hook = refuse
    with pytest.raises(Exception, match="AccessDenied"):
        is_quiet(shore.s3, "bucket", QuietTimer("trip/", "0123456789"))


def test_the_wait_for_a_run_is_counted_from_the_first_beat(shore: Shore) -> None:
    shore.debouncer.debounce(TRIP)
    since = shore.s3.objects[waiting_key(TRIP.token)].last_modified
    shore.now += 30
    shore.debouncer.debounce(TRIP)
    assert shore.s3.objects[waiting_key(TRIP.token)].last_modified == since
    assert len(shore.timers()) == 2


def test_a_wait_that_may_not_be_written_is_trouble(shore: Shore) -> None:
    def refuse(operation: str, key: str) -> None:
        if key == waiting_key(TRIP.token):
            raise error(operation, 403, "AccessDenied")

    shore.s3.hook = refuse
    with pytest.raises(Exception, match="AccessDenied"):
        shore.debouncer.debounce(TRIP)
