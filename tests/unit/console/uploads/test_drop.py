"""The requests that the drop page sends, on an S3 of moto."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.context import Console
from console.uploads.content import METADATA, PART_BYTES, fingerprint_of
from console.uploads.routes import PLANNED_FILES
from tests.support.worlds.consoles import BUCKET, Client, client, mocked_console

LARGE = b"a" * PART_BYTES + b"b" * PART_BYTES + b"end"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with mocked_console(tmp_path / "console") as opened:
        yield opened


@pytest.fixture
def page(console: Console) -> Client:
    return client(console)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def plan(page: Client, *files: tuple[str, int]) -> list[dict[str, Any]]:
    request = {"files": [{"path": path, "size": size} for path, size in files]}
    answer = page.post("/api/drop/plan", content=json.dumps(request))
    assert answer.status_code == 200, answer.text
    states: list[dict[str, Any]] = answer.json()["files"]
    return states


def send(page: Client, path: str, body: bytes, etag: str | None = None) -> Any:
    params = {"path": path, "sha256": sha256(body)} | ({"etag": etag} if etag else {})
    return page.request("PUT", "/api/drop/file", params=params, content=body)


def stored(console: Console, key: str) -> bytes:
    found = console.bucket.read(key)
    assert found is not None, f"{key} is not there"
    return found.body


def keys(console: Console) -> list[str]:
    return [item.key for item in console.bucket.walk("")]


class Large:
    """A file that is sent in parts, as the page sends it."""

    def __init__(self, page: Client, path: str = "trip.zip", body: bytes = LARGE) -> None:
        self.page, self.path, self.body = page, path, body
        self.file = {"path": path, "size": len(body), "fingerprint": fingerprint_of([body])}

    def begin(self) -> list[int]:
        answer = self.page.post("/api/drop/begin", json=self.file)
        assert answer.status_code == 200, answer.text
        missing: list[int] = answer.json()["missing"]
        return missing

    def part(self, number: int, body: bytes | None = None) -> Any:
        own = self.body[(number - 1) * PART_BYTES : number * PART_BYTES]
        content = own if body is None else body
        params = self.file | {"number": number, "sha256": sha256(content)}
        return self.page.request("PUT", "/api/drop/part", params=params, content=content)

    def finish(self, etag: str | None = None) -> str:
        answer = self.page.post("/api/drop/finish", json=self.file | {"etag": etag})
        assert answer.status_code == 200, answer.text
        state: str = answer.json()["state"]
        return state


def test_the_page_is_shown_and_says_when_it_cannot_be_used(tmp_path: Path) -> None:
    with mocked_console(tmp_path / "console") as console:
        shown = client(console).get("/drop?folder=<b>trip")
        assert shown.status_code == 200
        assert 'value="&lt;b&gt;trip"' in shown.text
    with mocked_console(tmp_path / "console", read_only=True) as console:
        shown = client(console).get("/drop")
        assert "read-only" in shown.text
        assert "<input" not in shown.text
        assert client(console).post("/api/drop/plan", json={"files": []}).status_code == 403


def test_the_plan_says_what_becomes_of_each_file(console: Console, page: Client) -> None:
    console.bucket.put("inbox/trip/a.jpg", b"abc")
    states = plan(
        page,
        ("trip/a.jpg", 3),
        ("trip/b.heic", 3),
        (".DS_Store", 3),
        ("a\ud800", 3),
        ("t/_READY", 0),
    )
    assert [state["state"] for state in states] == [
        "there",
        "absent",
        "ignored",
        "refused",
        "marker",
    ]
    assert (states[0]["size"], len(states[0]["etag"])) == (3, 32)


def test_a_file_is_written_with_its_fingerprint_and_never_over_another(
    console: Console, page: Client
) -> None:
    assert send(page, "trip/a b?.jpg", b"one").status_code == 200
    assert stored(console, "inbox/trip/a b?.jpg") == b"one"
    head = console.bucket.head("inbox/trip/a b?.jpg")
    assert head is not None
    assert head.metadata[METADATA] == sha256(b"one")
    second = send(page, "trip/a b?.jpg", b"two")
    assert (second.status_code, second.json()["state"]) == (409, "changed")
    assert stored(console, "inbox/trip/a b?.jpg") == b"one"
    assert send(page, "trip/a b?.jpg", b"two", head.listed.etag).status_code == 200
    assert stored(console, "inbox/trip/a b?.jpg") == b"two"
    late = send(page, "trip/a b?.jpg", b"three", head.listed.etag)
    assert late.status_code == 409, "it replaces only what the person has seen"


def test_an_empty_file_is_sent(console: Console, page: Client) -> None:
    assert send(page, "empty.jpg", b"").status_code == 200
    assert stored(console, "inbox/empty.jpg") == b""


@pytest.mark.parametrize("uploader", ["the console", "another program"])
def test_a_file_that_is_there_is_known_by_its_content(
    console: Console, page: Client, uploader: str
) -> None:
    if uploader == "the console":
        send(page, "a.jpg", b"one")
    else:
        console.bucket.put("inbox/a.jpg", b"one")

    def compare(body: bytes) -> str:
        file = {"path": "a.jpg", "size": len(body), "fingerprint": sha256(body)}
        state: str = page.post("/api/drop/compare", json=file).json()["state"]
        return state

    assert compare(b"one") == "same"
    assert compare(b"two") == "there"
    assert compare(b"longer") == "there"


def test_a_large_file_that_another_program_uploaded_is_compared_part_by_part(
    console: Console, page: Client
) -> None:
    console.bucket.put("inbox/trip.zip", LARGE)
    file = Large(page).file
    assert page.post("/api/drop/compare", json=file).json() == {"state": "same"}
    other = Large(page, body=LARGE[:-1] + b"D").file
    assert page.post("/api/drop/compare", json=other).json()["state"] == "there"


def test_both_are_kept_under_the_first_number_that_is_free(console: Console, page: Client) -> None:
    for key in ("inbox/t/a.jpg", "inbox/t/a (2).jpg"):
        console.bucket.put(key, key)
    file = {"path": "t/a.jpg", "size": 3, "fingerprint": sha256(b"new")}
    answer = page.post("/api/drop/number", json=file).json()
    assert answer == {"state": "absent", "path": "t/a (3).jpg"}
    send(page, "t/a (3).jpg", b"new")
    assert page.post("/api/drop/number", json=file).json() == {
        "state": "same",
        "path": "t/a (3).jpg",
    }
    for number in range(2, 21):
        console.bucket.put(f"inbox/t/a ({number}).jpg", b"taken")
    full = page.post("/api/drop/number", json=file)
    assert full.status_code == 400
    assert "rename the file" in full.json()["error"]


def test_a_large_file_goes_on_from_the_parts_that_s3_has(console: Console, page: Client) -> None:
    large = Large(page)
    assert large.begin() == [1, 2, 3]
    assert large.part(2).status_code == 200
    again = Large(client(console))  # after the console has been restarted
    assert again.begin() == [1, 3]
    assert again.finish() == "gone", "parts are missing"
    for number in (1, 3):
        assert again.part(number).status_code == 200
    assert again.finish() == "written"
    assert stored(console, "inbox/trip.zip") == LARGE
    head = console.bucket.head("inbox/trip.zip")
    assert head is not None
    assert head.metadata[METADATA] == large.file["fingerprint"]
    assert not any((console.folder / "uploads").iterdir()), "the note of the upload is left"
    assert again.part(1).json()["state"] == "gone"


def test_parts_of_another_content_are_not_mixed_in(console: Console, page: Client) -> None:
    first, second = Large(page), Large(page, body=LARGE[::-1])
    for large in (first, second):
        assert large.begin() == [1, 2, 3]
    for number in (1, 2, 3):
        first.part(number)
        second.part(number)
    assert second.finish() == "written"
    assert first.finish() == "changed", "the first one has lost, and asks"
    assert stored(console, "inbox/trip.zip") == LARGE[::-1]
    head = console.bucket.head("inbox/trip.zip")
    assert head is not None
    assert first.finish(head.listed.etag) == "written"
    assert stored(console, "inbox/trip.zip") == LARGE


def test_an_upload_that_s3_has_ended_begins_again(console: Console, page: Client) -> None:
    large = Large(page)
    large.begin()
    s3 = console.bucket.client
    [upload] = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    assert large.begin() == [1, 2, 3]
    assert large.part(1).status_code == 200


def test_a_folder_is_started(console: Console, page: Client) -> None:
    assert page.post("/api/drop/ready", json={"folder": "trip"}).status_code == 200
    assert stored(console, "inbox/trip/_READY") == b""


@pytest.mark.parametrize("folder", ["", "a/b", "../x", "_long", ".git", "a\ud800"])
def test_only_folders_are_started(console: Console, page: Client, folder: str) -> None:
    answer = page.post("/api/drop/ready", content=json.dumps({"folder": folder}))
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert keys(console) == []


def test_what_is_not_sent_as_the_page_sends_it_is_refused(console: Console, page: Client) -> None:
    def put(url: str, params: dict[str, Any], body: bytes = b"x") -> int:
        return page.request("PUT", url, params=params, content=body).status_code

    file, digest = Large(page).file, sha256(b"x")
    too_large = bytes(PART_BYTES + 1)
    one = {"path": "a.jpg", "sha256": digest}
    assert put("/api/drop/file", one | {"sha256": sha256(too_large)}, too_large) == 413
    assert put("/api/drop/file", one | {"sha256": sha256(b"other")}) == 400
    assert put("/api/drop/file", {"path": "a.jpg"}) == 400
    assert put("/api/drop/file", one | {"path": "../a.jpg"}) == 400
    assert put("/api/drop/file", one | {"path": "trip/_READY"}) == 400
    assert put("/api/drop/file", one | {"etag": '"\r\nx: y'}) == 400
    part = file | {"sha256": digest, "number": "1"}
    assert put("/api/drop/part", part | {"fingerprint": "x"}) == 400
    assert put("/api/drop/part", part | {"number": "-1"}) == 400
    assert put("/api/drop/part", part | {"size": "1" * 5000}) == 400
    Large(page).begin()
    assert put("/api/drop/part", part) == 409
    many = [{"path": "a.jpg", "size": 1}] * (PLANNED_FILES + 1)
    for body in ({}, {"files": many}, {"files": [1]}, {"files": [{"path": "a", "size": True}]}):
        assert page.post("/api/drop/plan", json=body).status_code == 400
    assert page.post("/api/drop/plan", content=b"[" * 100_000).status_code == 400
    assert page.post("/api/drop/plan", content=b'"' + b"x" * 2**22).status_code == 413
    one_part = {"path": "a.zip", "size": 5, "fingerprint": sha256(b"12345")}
    assert page.post("/api/drop/begin", json=one_part).status_code == 400
    assert keys(console) == []
