"""What the gallery's pages and requests answer."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.answers.filling import Filling
from console.answers.query import MOST_ROWS
from console.answers.routes import open_index
from console.context import Console
from domain.keys import ACTIVE_MODEL
from domain.reply import Label
from domain.result import Previous
from tests.support.builders.answers import PETS, classified, rejected, store
from tests.support.fakes.many_answers import ACTIVE, ThumbnailEndpoint, jpeg, rows
from tests.support.worlds.consoles import BUCKET, Client, client, mocked_console

HOSTILE = "trip/<script>alert('\u202e')<b>&.jpg"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    endpoint: Any = ThumbnailEndpoint()
    with mocked_console(tmp_path / "console", runtime=endpoint) as console:
        s3 = console.bucket.client
        s3.put_object(Bucket=BUCKET, Key="inbox/a.jpg", Body=jpeg(1))
        s3.put_object(Bucket=BUCKET, Key=ACTIVE_MODEL, Body=ACTIVE.to_json().encode())
        before = Previous(PETS, Label("wolf", 0.5))
        store(
            s3,
            BUCKET,
            classified("a.jpg", ("cat", 0.9), ("dog", 0.1), previous=before),
            classified(HOSTILE, ("<b>", 0.3), at="2026-11-27T09:00:00Z"),
            rejected("bad.jpg", at="2026-11-26T09:00:00Z"),
        )
        Filling(console.bucket, open_index(console)).run()
        yield console


@pytest.fixture
def page(console: Console) -> Client:
    return client(console)


def names(page: Client, query: str) -> list[str]:
    answer = page.get(f"/api/answers?{query}").json()
    assert answer["total"] == len(answer["rows"])
    return [row["image"].removeprefix("inbox/") for row in answer["rows"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a.jpg", HOSTILE, "bad.jpg"]),
        ("sort=oldest", ["bad.jpg", HOSTILE, "a.jpg"]),
        ("label=cat", ["a.jpg"]),
        ("label=%3Cb%3E", [HOSTILE]),
        ("status=rejected", ["bad.jpg"]),
        ("unsure=0.5", [HOSTILE]),
        ("folder=inbox%2Ftrip%2F", [HOSTILE]),
        ("since=2026-11-27&until=2026-11-27", [HOSTILE]),
        ("name=%3Cscript%3E", [HOSTILE]),
        ("low=&high=&label=&sort=&name=", ["a.jpg", HOSTILE, "bad.jpg"]),
        ("unknown=1", ["a.jpg", HOSTILE, "bad.jpg"]),
    ],
)
def test_the_query_selects(page: Client, query: str, expected: list[str]) -> None:
    assert names(page, query) == expected


def test_answers_are_selected_by_the_models_decision(console: Console, page: Client) -> None:
    assert page.get("/api/answers/options").json()["decisions"] == []
    unsure = replace(classified("maybe.jpg", ("cat", 0.7)), decision="unsure")
    sure = replace(classified("sure.jpg"), decision="accepted")
    store(console.bucket.client, BUCKET, unsure, sure)
    Filling(console.bucket, open_index(console)).run()
    assert names(page, "decision=unsure") == ["maybe.jpg"]
    assert names(page, "decision=accepted") == ["sure.jpg"]
    options = page.get("/api/answers/options").json()["decisions"]
    assert sorted(option["value"] for option in options) == ["accepted", "unsure"]


def test_a_page_of_answers_has_the_number_of_all(page: Client) -> None:
    answer = page.get("/api/answers?offset=1&limit=1").json()
    assert answer["total"] == 3
    [row] = answer["rows"]
    assert row["image"] == f"inbox/{HOSTILE}"
    assert row["labels"] == [["<b>", 0.3]]
    assert row["model"] == "pets:1"


@pytest.mark.parametrize(
    "query",
    [
        *(
            "sort=best",
            "status=odd",
            "decision=odd",
            "low=x",
            "low=1e400",
            "low=nan",
            "unsure=-1",
            "high=.",
        ),
        *("since=yesterday", "until=2026-02-30", "offset=-1", "offset=99999999999", "limit=x"),
        *("folder=outbox%2F", "folder=inbox%2Fa", f"name={'x' * 5000}", "seed=%D9%A3"),
    ],
)
def test_what_cannot_be_is_a_sentence(page: Client, query: str) -> None:
    answer = page.get(f"/api/answers?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


def test_the_order_by_neighbours_waits_for_features(page: Client) -> None:
    answer = page.get("/api/answers?sort=unlike").json()
    assert (answer["total"], answer["rows"]) == (0, [])
    state = page.get("/api/answers/unlike?sort=unlike").json()
    assert (state["compared"], state["missing"]) == (0, 2), "the rejected one has no label"
    assert state["sentence"].startswith("0 of 2 compared so far")
    one = page.get("/api/answer?image=inbox%2Fa.jpg&sort=unlike&neighbours=yes").json()
    assert (one["tile"]["neighbours"], one["neighbours"]) == ("", None)


def test_a_page_of_answers_is_bounded(console: Console, page: Client) -> None:
    open_index(console).put(rows(2 * MOST_ROWS))
    answer = page.get("/api/answers?limit=2000000000").json()
    assert (len(answer["rows"]), answer["total"]) == (MOST_ROWS, 2 * MOST_ROWS + 3)


def test_one_image_with_all_that_is_known_of_it(page: Client) -> None:
    answer = page.get("/api/answer?image=inbox%2Fa.jpg&neighbours=yes").json()
    assert answer["document"]["previous"]["label"] == "wolf"
    assert answer["document"]["source"]["width"] == 640
    assert answer["result"] == "outbox/a.jpg.json"
    assert answer["neighbours"] == {
        "place": 0,
        "total": 3,
        "before": None,
        "after": f"inbox/{HOSTILE}",
    }
    other = page.get("/api/answer?image=inbox%2Fbad.jpg&status=classified&neighbours=yes").json()
    assert other["document"]["message"] == "The file ends too early. Upload it again."
    assert other["neighbours"] is None, "the query leaves it out"


def test_an_answer_is_read_as_it_is_now(console: Console, page: Client) -> None:
    store(console.bucket.client, BUCKET, classified("a.jpg", ("lynx", 0.8)), classified("new.jpg"))
    answer = page.get("/api/answer?image=inbox%2Fa.jpg").json()
    assert answer["document"]["labels"][0]["label"] == "lynx"
    assert page.get("/api/answer?image=inbox%2Fnew.jpg").json()["tile"] is None
    console.bucket.client.delete_object(Bucket=BUCKET, Key="outbox/a.jpg.json")
    assert page.get("/api/answer?image=inbox%2Fa.jpg").json()["document"] is None
    assert page.get("/api/answer?image=inbox%2Fnone.jpg").status_code == 404


@pytest.mark.parametrize("path", ["/api/answer", "/api/thumbnail", "/original", "/result"])
@pytest.mark.parametrize("image", ["", "models/active.json", "outbox/a.jpg.json", "/etc/passwd"])
def test_nothing_but_images_of_the_inbox_is_shown(page: Client, path: str, image: str) -> None:
    assert page.get(path, params={"image": image}).status_code == 400


def test_the_image_and_its_json_are_streamed_safely(page: Client) -> None:
    original = page.get("/original?image=inbox%2Fa.jpg")
    assert original.content == jpeg(1)
    assert original.headers["content-type"] == "image/jpeg"
    assert "sandbox" in original.headers["content-security-policy"]
    document = page.get("/result?image=inbox%2Fa.jpg")
    assert document.headers["content-type"] == "application/json"
    assert document.json()["image"] == "inbox/a.jpg"
    assert page.get("/original?image=inbox%2Fgone.jpg").status_code == 404


def test_a_thumbnail_may_be_kept_by_the_browser(console: Console, page: Client) -> None:
    etag = console.bucket.page("inbox/a.jpg")[0].etag
    answer = page.get("/api/thumbnail", params={"image": "inbox/a.jpg", "etag": etag})
    assert (answer.content, answer.headers["content-type"]) == (jpeg(1), "image/jpeg")
    assert "immutable" in answer.headers["cache-control"]
    gone = page.get("/api/thumbnail", params={"image": "inbox/gone.jpg", "etag": "e"})
    assert (gone.status_code, gone.headers["cache-control"]) == (404, "no-store")


def test_what_there_is_to_filter_by(page: Client) -> None:
    answer = page.get("/api/answers/options").json()
    assert {one["value"] for one in answer["labels"]} == {"cat", "<b>"}
    assert {one["value"]: one["count"] for one in answer["folders"]} == {
        "inbox/": 2,
        "inbox/trip/": 1,
    }
    assert answer["state"]["answers"] == 3


def test_a_hostile_name_is_text_in_every_page(page: Client) -> None:
    image = f"inbox/{HOSTILE}"
    shown = page.get("/look/image", params={"image": image})
    assert shown.status_code == 200
    assert "<script>alert" not in shown.text
    heading = shown.text.partition("<h1>")[2].partition("</h1>")[0]
    assert heading == "<bdi>&lt;script&gt;alert(&#39;\\u202e&#39;)&lt;b&gt;&amp;.jpg</bdi>"
    for path in ("/api/answers", "/api/answers/options"):
        body = page.get(path)
        assert body.headers["content-type"] == "application/json"
        assert body.text.isascii()
        json.loads(body.text)
    assert page.get("/look", params={"name": HOSTILE}).status_code == 200


def test_a_read_only_console_shows_everything(tmp_path: Path) -> None:
    with mocked_console(tmp_path / "console", read_only=True) as console:
        page = client(console)
        assert page.get("/look").status_code == 200
        assert page.get("/api/answers").json()["total"] == 0
        assert page.post("/api/answers/refresh").status_code == 403


def test_a_time_that_cannot_be_read_is_not_shown_as_one(console: Console, page: Client) -> None:
    store(console.bucket.client, BUCKET, classified("odd.jpg", at="some day"))
    Filling(console.bucket, open_index(console)).run()
    times = {row["image"]: row["at"] for row in page.get("/api/answers").json()["rows"]}
    assert times["inbox/odd.jpg"] == ""
    assert times["inbox/bad.jpg"] == "2026-11-26T09:00:00Z"
