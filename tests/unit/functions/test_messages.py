"""What the queues carry: what is ours is read back, what is malformed raises."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.planning.slice import PageRef
from domain.keys import JobName, RunKeys
from functions import messages
from functions.allowance import Uploader
from functions.messages import (
    Advance,
    Changed,
    FolderMessage,
    ForeignJob,
    JobChanged,
    LookAgain,
    MalformedError,
    NextArchive,
    NotificationsEnabled,
    QuietTimer,
    Reclassify,
    Start,
    Unpack,
    parse_folder,
    parse_inbox,
    parse_page,
    to_json,
)
from tests.support.worlds.uploads import notification

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
counts = st.integers(0, 10**6)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_any_key_survives_the_form_encoding_of_a_notification(key: str) -> None:
    assert parse_inbox(notification(key)) == (Changed(key, removed=False),)


def test_a_key_is_decoded_once() -> None:
    assert parse_inbox(notification("inbox/100%25+1 a.jpg")) == (
        Changed("inbox/100%25+1 a.jpg", removed=False),
    )


def test_one_notification_may_tell_of_several_objects() -> None:
    first = json.loads(notification("inbox/a"))["Records"]
    second = json.loads(notification("inbox/b", "ObjectRemoved:DeleteMarkerCreated"))["Records"]
    assert parse_inbox(json.dumps({"Records": first + second})) == (
        Changed("inbox/a", removed=False),
        Changed("inbox/b", removed=True),
    )


def test_the_event_that_s3_sends_when_notifications_are_switched_on_is_known() -> None:
    body = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b", "RequestId": "1"}
    assert parse_inbox(json.dumps(body)) == (NotificationsEnabled(),)


@given(st.builds(LookAgain, texts, counts))
def test_a_look_again_is_read_back(message: LookAgain) -> None:
    assert parse_inbox(messages.to_json(message)) == (message,)


sweeps = st.builds(Reclassify, texts, st.sampled_from(["unanswered", "renewal"]), st.booleans())


@given(
    st.one_of(
        st.builds(QuietTimer, texts, texts),
        st.builds(Start, texts),
        st.builds(Unpack, texts),
        st.builds(NextArchive, texts),
        st.builds(Advance, texts),
        sweeps,
    )
)
def test_the_folder_queues_messages_are_read_back(
    message: QuietTimer | Start | Advance | Unpack | NextArchive | Reclassify,
) -> None:
    assert parse_folder(messages.to_json(message), "dev") == message


@given(st.builds(PageRef, texts, texts, counts, counts, counts, counts))
def test_the_page_queues_messages_are_read_back(message: PageRef) -> None:
    assert parse_page(messages.to_json(message)) == message


@given(st.one_of(st.builds(QuietTimer, texts, texts), st.builds(LookAgain, texts, counts)))
def test_a_message_holds_only_what_sqs_carries(message: QuietTimer | LookAgain) -> None:
    assert messages.to_json(message).isascii()


JOB = JobName("dev", "trip", "0123456789", 1, 0, 0)
RUN = RunKeys("trip-abc", "0123456789")


def job_event(name: str = str(JOB), uri: str = f"s3://bucket/{RUN.prefix}plans/m.json") -> Any:
    """As EventBridge delivers it to an SQS target: the whole event."""
    return {
        "version": "0",
        "id": "1",
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Transform Job State Change",
        "detail": {
            "TransformJobName": name,
            "TransformJobStatus": "Completed",
            "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": uri}}},
        },
    }


def test_a_job_event_leads_to_its_run() -> None:
    assert parse_folder(json.dumps(job_event()), "dev") == JobChanged(RUN, JOB, "Completed")


@pytest.mark.parametrize(
    ("event", "whose"),
    [
        (job_event(name="somebody-elses-job"), "somebody-elses-job"),
        (job_event(name=str(JOB).replace("dev", "prod")), str(JOB).replace("dev", "prod")),
        (job_event(uri="s3://bucket/somewhere/else"), str(JOB)),
    ],
)
def test_a_job_that_is_not_ours_is_told_apart(event: Any, whose: str) -> None:
    parsed: FolderMessage = parse_folder(json.dumps(event), "dev")
    assert parsed == ForeignJob(whose)


MALFORMED = [
    "",
    "hello",
    "[]",
    "null",
    "{}",
    '{"quiet": {"path": "trip/"}}',
    '{"quiet": {"path": 1, "nonce": "n"}}',
    '{"advance": {"token": null}}',
    '{"sweep": {"path": "", "kind": "uploads", "confirmed": true}}',
    '{"sweep": {"path": "", "kind": "renewal"}}',
    '{"page": {"token": "t"}}',
    '{"look": {"key": "inbox/a", "again": "1"}}',
    '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
    '{"Records": [7]}',
    json.dumps({"source": "aws.sagemaker", "detail": {"TransformJobName": str(JOB)}}),
    json.dumps({"source": "aws.s3", "detail": {}}),
]


@pytest.mark.parametrize("body", MALFORMED)
def test_what_is_malformed_is_left_to_the_dead_letters(body: str) -> None:
    for parse in (parse_inbox, parse_page, lambda body: parse_folder(body, "dev")):
        with pytest.raises(MalformedError):
            parse(body)


def test_an_event_that_the_inbox_does_not_subscribe_to_is_malformed() -> None:
    with pytest.raises(MalformedError, match="ObjectRestore:Post"):
        parse_inbox(notification("inbox/a", "ObjectRestore:Post"))


def test_plus_and_percent_are_what_s3_makes_of_space_and_utf8() -> None:
    assert quote_plus("é a") == "%C3%A9+a"
    record = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "inbox/%C3%A9+a"}}}
    assert parse_inbox(json.dumps({"Records": [record]})) == (Changed("inbox/é a", removed=False),)


CREATED = {
    "eventName": "ObjectCreated:Put",
    "userIdentity": {"principalId": "AWS:AROAEXAMPLE:i-0123"},
    "requestParameters": {"sourceIPAddress": "192.0.2.1"},
    "s3": {"object": {"key": "inbox/a.jpg", "size": 7}},
}


def event(**other: Any) -> Changed:
    (told,) = parse_inbox(json.dumps({"Records": [CREATED | other]}))
    assert isinstance(told, Changed)
    return told


def test_an_event_tells_the_size_and_who_uploaded() -> None:
    uploader = Uploader("AWS:AROAEXAMPLE:i-0123", "192.0.2.1")
    assert event() == Changed("inbox/a.jpg", False, 7, uploader)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"userIdentity": {}}, Uploader("", "192.0.2.1")),
        ({"userIdentity": {"principalId": None}}, Uploader("", "192.0.2.1")),
        ({"requestParameters": None}, Uploader("AWS:AROAEXAMPLE:i-0123", "")),
        ({"requestParameters": {"sourceIPAddress": 7}}, Uploader("AWS:AROAEXAMPLE:i-0123", "")),
    ],
)
def test_what_an_event_leaves_out_is_nobody_and_holds_up_nothing(
    other: dict[str, Any], told: Uploader
) -> None:
    assert event(**other) == Changed("inbox/a.jpg", False, 7, told)


@pytest.mark.parametrize("size", [None, "7", {}])
def test_a_size_that_is_none_is_not_known(size: Any) -> None:
    assert event(s3={"object": {"key": "inbox/a.jpg", "size": size}}).size is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ObjectCreated:CompleteMultipartUpload", Changed("inbox/a", removed=False)),
        ("ObjectCreated:Copy", Changed("inbox/a", removed=False)),
        ("ObjectRemoved:Delete", Changed("inbox/a", removed=True)),
        ("ObjectRemoved:DeleteMarkerCreated", Changed("inbox/a", removed=True)),
        ("LifecycleExpiration:Delete", Changed("inbox/a", removed=True, expired=True)),
        ("LifecycleExpiration:DeleteMarkerCreated", Changed("inbox/a", removed=True, expired=True)),
        ("ObjectRestore:Completed", Changed("inbox/a", removed=False, restored=True)),
    ],
)
def test_every_event_that_the_inbox_subscribes_to_is_known(name: str, expected: object) -> None:
    assert parse_inbox(notification("inbox/a", name)) == (expected,)


@pytest.mark.parametrize(
    "name",
    ["ObjectRestore:Post", "ObjectRestore:Delete", "ObjectTagging:Put", "ObjectCreatedX:Put", ""],
)
def test_no_other_event_is_taken_for_one_of_them(name: str) -> None:
    with pytest.raises(MalformedError, match=f"subscribes to: {name!r}$"):
        parse_inbox(notification("inbox/a", name))


@pytest.mark.parametrize(
    ("parse", "sentence"),
    [
        (lambda: parse_inbox("nonsense"), "^not JSON: "),
        (lambda: parse_inbox("[]"), "^not a JSON object$"),
        (
            lambda: parse_inbox('{"b": 1, "a": 2}'),
            r"^not a message of the inbox queue: \['a', 'b'\]$",
        ),
        (lambda: parse_inbox('{"Records": [1]}'), "^not an S3 event record$"),
        (lambda: parse_folder('{"b": 1}', "dev"), r"^not a message of the folder queue: \['b'\]$"),
        (lambda: parse_page('{"page": {}}'), "^not a message of the page queue$"),
        (
            lambda: parse_folder(
                json.dumps(
                    {
                        "source": "aws.sagemaker",
                        "detail": {"TransformJobName": "sortbox-dev-t-0123456789-1-0-0"},
                    }
                ),
                "dev",
            ),
            "^the event of sortbox-dev-t-0123456789-1-0-0 does not tell its status and its input$",
        ),
    ],
)
def test_what_is_malformed_says_what_it_is(parse: Callable[[], object], sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        parse()


@pytest.mark.parametrize("size", [None, 7])
@pytest.mark.parametrize("told", [{}, {"restored": False}, {"restored": True}])
def test_what_was_moved_is_read_as_it_was_sent(told: dict[str, bool], size: int | None) -> None:
    body = {"moved": {"key": "inbox/a", "removed": True, "size": size, **told}}
    is_restored = told.get("restored", False)
    expected = Changed("inbox/a", True, size, moved=True, restored=is_restored)
    assert parse_inbox(json.dumps(body)) == (expected,)
    assert parse_inbox(to_json(expected)) == (expected,)


def test_what_was_moved_and_tells_no_size_or_none_that_is_a_number_is_malformed() -> None:
    for change in ({"key": "inbox/a", "removed": True}, {"key": "a", "removed": True, "size": "7"}):
        with pytest.raises(MalformedError):
            parse_inbox(json.dumps({"moved": change}))
