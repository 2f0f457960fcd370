"""What pages send and ask about corrections, over moto's S3 and STS."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from console.context import Console
from console.corrections.routes import BODY_BYTES, routes
from console.corrections.service import MOST_ITEMS
from console.web.events import Hub, Periodic
from domain.corrections.form import from_json, to_json
from domain.keys import ACTIVE_MODEL, CORRECTIONS, archive_key
from domain.model import ActiveModel, ModelId
from tests.support.builders import vocabulary as some
from tests.support.builders.packed import archive_of_labels
from tests.support.worlds.consoles import REGION, Client, client, mocked_console

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        sagemaker = boto3.Session("test", "test", region_name=REGION).client("sagemaker")
    with mocked_console(tmp_path / "console", sagemaker=sagemaker) as opened:
        for name in ("a.jpg", "b.jpg", "trip/c.jpg"):
            opened.bucket.put(f"inbox/{name}", name)
        yield opened


@pytest.fixture
def stage(console: Console) -> Client:
    return client(console)


def etag(console: Console, image: str = "inbox/a.jpg") -> str:
    head = console.bucket.head(image)
    assert head is not None
    return head.listed.etag


def item(console: Console, number: int = 1, **changes: Any) -> dict[str, Any]:
    image = changes.get("image", "inbox/a.jpg")
    return {
        "name": some.name_after(NOW.replace(second=number), f"{number:016x}"),
        "image": image,
        "etag": etag(console, image) if "etag" not in changes else "",
        "from": "skirt",
        "to": "dress",
        "withdraws": None,
    } | changes


def post(stage: Client, *items: dict[str, Any]) -> list[dict[str, Any]]:
    answer = stage.post("/api/corrections", json={"items": items})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def stored(console: Console) -> list[str]:
    return [one.key for one in console.bucket.walk(CORRECTIONS)]


def test_what_is_stored_is_in_s3_when_the_page_hears_of_it(console: Console, stage: Client) -> None:
    sent = item(console)
    (result,) = post(stage, sent)
    assert result["stored"]["to"] == "dress"
    assert result["stored"]["who"] == "moto"
    (key,) = stored(console)
    body = console.bucket.read(key)
    assert body is not None
    correction = from_json(sent["name"], body.body)
    assert (correction.who, correction.at) == ("moto", "2026-11-28T12:00:01Z")
    assert post(stage, sent) == [result], "sending it again is harmless"
    assert len(stored(console)) == 1


def test_the_person_is_who_aws_says_and_not_who_a_page_says(
    console: Console, stage: Client
) -> None:
    (result,) = post(stage, item(console) | {"who": "the boss", "at": "1999"})
    assert result["stored"]["who"] == "moto"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"etag": "another"}, "has been replaced by another image"),
        ({"image": "inbox/gone.jpg", "etag": "e"}, "has been deleted"),
        ({"image": "models/active.json", "etag": "e"}, "about an image of inbox/"),
        ({"to": "a\u202eb"}, "cannot be a class"),
        ({"to": "x" * 5000}, "'to'"),
        ({"to": 3}, "is no text"),
        ({"name": "../x"}, "not the name of a correction"),
        ({"name": None}, "has a name"),
        ({"extra": 1}, "its fields are others"),
        ({"withdraws": "x"}, "not the name of a correction"),
    ],
)
def test_what_never_can_be_stored_is_refused_and_the_others_are_stored(
    changes: dict[str, Any], sentence: str, console: Console, stage: Client
) -> None:
    refused, good = post(stage, item(console, **changes), item(console, 2))
    assert sentence in refused["refused"]
    assert good["stored"]["to"] == "dress"
    assert len(stored(console)) == 1


def test_rejected_images_and_none_of_these(console: Console, stage: Client) -> None:
    one, other = post(
        stage,
        item(console) | {"from": None, "to": "coat"},
        item(console, 2, image="inbox/b.jpg", to=None),
    )
    assert (one["stored"]["from"], one["stored"]["to"]) == (None, "coat")
    assert (other["stored"]["from"], other["stored"]["to"]) == ("skirt", None)
    text = stage.get("/corrections").text
    assert "rejected" in text
    assert "none of the labels" in text


def test_an_undo_and_an_undo_of_it(console: Console, stage: Client) -> None:
    first = item(console)
    undo = item(console, 2, to=None, withdraws=first["name"])
    redo = item(console, 3, to=None, withdraws=undo["name"])
    post(stage, first)
    assert post(stage, undo)[0]["stored"] is None
    assert post(stage, redo)[0]["stored"]["to"] == "dress"
    console.bucket.put("inbox/a.jpg", "another image")
    again = item(console, 4, etag=first["etag"], to=None, withdraws=redo["name"])
    assert post(stage, again)[0]["stored"] is None, "also of an image that was replaced since"


def test_a_page_asks_for_what_holds_of_what_it_shows(console: Console, stage: Client) -> None:
    sent = item(console)
    post(stage, sent)
    query = {"image": ["inbox/a.jpg", "inbox/b.jpg"], "etag": [sent["etag"], "e"]}
    (state,) = stage.get("/api/corrections/states", params=query).json()["states"]
    assert (state["image"], state["to"], state["differing"]) == ("inbox/a.jpg", "dress", [])
    assert stage.get("/api/corrections/states?image=inbox/a.jpg").status_code == 400
    assert stage.get("/api/corrections/states").json() == {"states": []}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"items": []}', b'{"items": [1]}', b"[" * 100_000]
)
def test_a_request_of_another_form_is_a_sentence(stage: Client, body: bytes) -> None:
    answer = stage.post("/api/corrections", content=body)
    assert answer.status_code == 400
    assert "request" in answer.json()["error"]


def test_requests_are_bounded(console: Console, stage: Client) -> None:
    long = stage.post("/api/corrections", content=b" " * (BODY_BYTES + 1))
    assert long.status_code == 413
    many = [item(console, etag="e")] * (MOST_ITEMS + 1)
    answer = stage.post("/api/corrections", json={"items": many})
    assert (answer.status_code, "1 to 500 corrections" in answer.json()["error"]) == (400, True)


def test_a_console_that_is_read_only_shows_and_stores_nothing(tmp_path: Path) -> None:
    with mocked_console(tmp_path / "console", read_only=True) as console:
        console.bucket.put("inbox/a.jpg", "a.jpg")
        by_another(console, item(console), "anna")
        before = stored(console)
        stage = read(console)
        answer = stage.post("/api/corrections", json={"items": [item(console, 2)]})
        assert answer.status_code == 403
        assert stored(console) == before
        text = stage.get("/corrections").text
        assert "<bdi>anna</bdi>" in text
        assert "Undo" not in text
        assert "takes no corrections" in text
        assert "correct them by keyboard" not in text


def by_another(console: Console, sent: dict[str, Any], who: str) -> None:
    name = sent["name"]
    fields = {key: value for key, value in sent.items() if key != "name"}
    about = {"schema": 1, "who": who, "at": f"2026-11-28T12:00:{name[13:15]}Z"}
    correction = from_json(name, json.dumps(fields | about))
    console.bucket.put(correction.key, to_json(correction))


def test_before_all_are_read_the_page_says_so_and_has_what_was_stored_here(
    console: Console,
) -> None:
    by_another(console, item(console, 1, to="coat"), "anna")
    by_another(console, item(console, 2, to=EVIL), "bob")
    by_another(console, item(console, 3, image="inbox/b.jpg"), "anna")
    stage = client(console)
    assert "Reading the corrections" in stage.get("/corrections").text
    post(stage, item(console, 4, image="inbox/trip/c.jpg"))
    text = stage.get("/corrections").text
    assert "trip/c.jpg" in text
    assert EVIL not in text


def read(console: Console) -> Client:
    """A client of a console that has read all corrections."""
    routes(console, BusyHub())
    return client(console)


class BusyHub(Hub):
    """Does the work of the background once, at once."""

    def every(self, seconds: float, work: Periodic) -> None:
        work()


def test_the_page_has_disputed_ones_first_counts_and_filters(console: Console) -> None:
    by_another(console, item(console, 1, to="coat"), "anna")
    by_another(console, item(console, 2, to=EVIL), "bob")
    by_another(console, item(console, 3, image="inbox/b.jpg"), "anna")
    by_another(console, item(console, 4, image="inbox/trip/c.jpg", to=None), "anna")
    stage = read(console)
    text = stage.get("/corrections").text
    assert text.index("Two people differ") < text.index("Newest first")
    assert "<bdi>anna</bdi> says <bdi>coat</bdi>" in " ".join(text.split())
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert "Undo" in text

    def images(**query: str) -> list[str]:
        shown = stage.get("/corrections", params=query).text.partition("Newest first")[2]
        return [name for name in ("a.jpg", "b.jpg", "c.jpg") if f"{name}</bdi>" in shown]

    assert images() == ["a.jpg", "b.jpg", "c.jpg"]
    assert images(to="dress") == ["b.jpg"]
    assert images(kind="none") == ["c.jpg"]
    assert images(kind="disputed") == ["a.jpg"]
    assert images(folder="trip") == ["c.jpg"]
    assert images(who="bob") == ["a.jpg"]
    assert images(to="nothing like it") == []
    assert "No correction is like that" in stage.get("/corrections?to=x").text


def test_a_list_goes_on_from_the_last_one(console: Console) -> None:
    for number in range(55):
        console.bucket.put(f"inbox/{number:02}.jpg", "x")
        by_another(console, item(console, number, image=f"inbox/{number:02}.jpg"), "anna")
    stage = read(console)
    first = stage.get("/corrections").text
    assert "inbox/54.jpg" in first
    assert "inbox/04.jpg" not in first
    older = first.partition('href="?before=')[2].partition('"')[0]
    second = stage.get(f"/corrections?before={older}").text
    assert "inbox/04.jpg" in second
    assert "inbox/05.jpg" not in second.partition("Newest first")[2]


def test_a_correction_of_an_image_that_was_replaced_does_not_count_and_that_is_said(
    console: Console,
) -> None:
    by_another(console, item(console), "anna")
    by_another(console, item(console, 2, image="inbox/b.jpg"), "anna")
    console.bucket.put("inbox/a.jpg", "another image")
    console.bucket.client.delete_object(Bucket=console.bucket.name, Key="inbox/b.jpg")
    text = read(console).get("/corrections").text
    assert "the image was replaced since" in text
    assert "the image was deleted since" in text


def activate(console: Console, *labels: str, at: str = "2026-01-01") -> None:
    model = ModelId("pets", 2, f"sha256:{'1' * 64}")
    pointer = ActiveModel(model, "endpoint", "model", at).to_json()
    console.bucket.put(ACTIVE_MODEL, pointer)
    console.bucket.put(archive_key(model), archive_of_labels(labels))


def test_the_labels_are_those_of_the_model_and_those_that_people_named(
    console: Console, stage: Client
) -> None:
    activate(console, "skirt", "Cat", "cat", "<b>")
    post(stage, item(console, to="hoodie"), item(console, 2, image="inbox/b.jpg", to="skirt"))
    labels = stage.get("/api/corrections/labels").json()
    assert labels == {
        "model": "pets:2",
        "labels": ["skirt", "Cat", "cat", "<b>"],
        "others": ["hoodie"],
        "trouble": "",
        "bucket": console.bucket.name,
    }

    def check(label: str) -> tuple[list[str], str | None, bool]:
        answer = stage.get("/api/corrections/check", params={"label": label}).json()
        return answer["labels"], answer["near"], answer["error"] is None

    assert check("Skirt ") == (["skirt"], None, True)
    assert check("CAT") == (["Cat", "cat"], None, True)
    assert check("skrit") == ([], "skirt", True)
    assert check("Hoodie") == (["hoodie"], None, True)
    assert check("trousers") == ([], None, True)
    assert check("a\u0000b") == ([], None, False)
    assert check("") == ([], None, False)


def test_without_a_model_labels_are_typed(stage: Client) -> None:
    answer = stage.get("/api/corrections/labels").json()
    assert (answer["model"], answer["labels"], answer["trouble"]) == ("", [], "")


def test_a_damaged_archive_is_a_sentence_and_corrections_go_on(
    console: Console, stage: Client
) -> None:
    activate(console, "skirt")
    model = ModelId("pets", 2, f"sha256:{'1' * 64}")
    console.bucket.put(archive_key(model), b"x")
    assert stage.get("/api/corrections/labels").json()["trouble"]
    assert post(stage, item(console))[0]["stored"]["to"] == "dress"


def test_the_page_says_how_many_the_data_of_the_active_model_do_not_hold(console: Console) -> None:
    by_another(console, item(console, 1), "anna")
    by_another(console, item(console, 3, image="inbox/b.jpg"), "anna")
    activate(console, "skirt", at="2026-11-28T12:00:02Z")
    text = " ".join(read(console).get("/corrections").text.split())
    assert "<b>2</b>not in the data of <bdi>pets:2</bdi>" in text, "whatever the times say"
    assert "<b>2</b>images looked at" in text
