"""Dropping in Chromium: nothing is lost or written twice, whatever is reloaded or restarted."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from moto.core.botocore_stubber import MockRawResponse

from console.context import Console
from console.uploads.content import PART_BYTES
from tests.contract.console.conftest import WAIT_MS, AssertAccessible
from tests.support.worlds.consoles import BUCKET, mocked_console, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.slow

FILES = 30
LEFT_OUT = (".DS_Store", "Thumbs.db")
READY = "inbox/trip/_READY"
ARRIVED, HELD = 12, 4
"""Of an upload that is stopped in the middle."""


@pytest.fixture
def console(console_folder: Path) -> Iterator[Console]:
    with mocked_console(console_folder) as opened:
        yield opened


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    """A folder of 30 images, two of them deeper, with what systems leave beside them."""
    folder = tmp_path / "trip"
    (folder / "day 1 & <b>").mkdir(parents=True)
    for number in range(FILES - 2):
        (folder / f"IMG_{number:04}.HEIC").write_bytes(f"photo {number}".encode())
    for name in ("a\u202egpj.jpg", "ü #?%.png"):
        (folder / "day 1 & <b>" / name).write_bytes(name.encode())
    for name in LEFT_OUT:
        (folder / name).write_bytes(b"x")
    return folder


def expected(trip: Path) -> dict[str, str]:
    """The objects that a drop of the folder leaves: their keys and the MD5 of each."""
    files = [path for path in trip.rglob("*") if path.is_file()]
    images = [path for path in files if path.name not in LEFT_OUT]
    keys = {
        f"inbox/{path.relative_to(trip.parent).as_posix()}": path.read_bytes() for path in images
    }
    return {key: md5(body) for key, body in (keys | {READY: b""}).items()}


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def objects(console: Console) -> dict[str, str]:
    return {item.key: item.etag for item in console.bucket.walk("inbox/")}


def written_keys(console: Console) -> list[str]:
    """The key of each write of the inbox."""
    answer = console.bucket.client.list_object_versions(Bucket=BUCKET, Prefix="inbox/")
    return [one["Key"] for one in answer["Versions"]]


@pytest.fixture
def assert_whole(console: Console, trip: Path) -> Callable[[], None]:
    """Everything is there once, and all the rest was there when `_READY` was written."""
    at_start: list[dict[str, str]] = []

    def observe(params: Mapping[str, Any], **_: Any) -> None:
        if params["Key"] == READY:
            at_start.append(objects(console))

    console.bucket.client.meta.events.register("before-parameter-build.s3.PutObject", observe)

    def check() -> None:
        whole = expected(trip)
        assert objects(console) == whole
        keys = written_keys(console)
        assert sorted(keys) == sorted(set(keys)), "a file was written twice"
        assert at_start == [{key: etag for key, etag in whole.items() if key != READY}]

    return check


def wait_for(page: "Page", sentence: str) -> None:
    page.get_by_text(sentence).first.wait_for(timeout=WAIT_MS)


def choose(page: "Page", folder: Path) -> None:
    page.get_by_label("Choose a folder").set_input_files(folder)


def drag(page: "Page", *paths: Path) -> None:
    """Drag files or folders of this machine onto the page, as a person does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event: dict[str, Any] = {"type": kind, "x": 300, "y": 200, "data": data}
        session.send("Input.dispatchDragEvent", event)


def wait_until(page: "Page", condition: Callable[[], bool]) -> None:
    """While the page's requests are handled, which Playwright does in this thread."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def stop_in_the_middle(
    page: "Page", start: Callable[["Page", Path], None], folder: Path
) -> list["Route"]:
    """Start an upload of which 12 files arrive; the routes of the next ones, which are held."""
    held: list[Route] = []
    passed: list[str] = []

    def handle(route: "Route") -> None:
        if len(passed) < ARRIVED:
            passed.append(route.request.url)
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/drop/file?*", handle)
    start(page, folder)
    wait_until(page, lambda: len(held) >= HELD)
    return held


def reload(page: "Page") -> None:
    """As a person does who confirms it, and whom nothing holds up from then on."""
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.unroute_all(behavior="ignoreErrors")


def remembered(page: "Page") -> list[dict[str, int]]:
    """The drops that the browser remembers: how many files and handles they have."""
    drops: list[dict[str, int]] = page.evaluate(
        """async () => (await (await import("/static/drop_sources.js")).remembered())
          .map(({ total, handles }) => ({ total, handles: handles.length }))"""
    )
    return drops


@pytest.mark.parametrize("how", ["chosen", "dragged"])
def test_a_folder_is_sent_whole_and_started(
    page: "Page",
    page_errors: list[str],
    console: Console,
    trip: Path,
    how: str,
    assert_whole: Callable[[], None],
) -> None:
    with serve(console, "/drop") as served:
        page.goto(served.address)
        if how == "chosen":
            choose(page, trip)
        else:
            drag(page, trip)
        wait_for(page, "it is started")
        assert "Done: 30 of 30 files" in page.locator("#summary").inner_text()
        left_out = page.locator("#left-out").inner_text()
        assert "macOS: settings of a folder" in left_out
        watch = page.get_by_role("link", name="Watch its answers")
        assert watch.get_attribute("href") == "/watch?key=inbox%2Ftrip%2F"
    assert_whole()


def test_files_that_a_script_hands_over_are_sent_as_singles_or_into_a_folder(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    script = """([name, text]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([text], name));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
    }"""
    with serve(console, "/drop") as served:
        page.goto(served.address)
        page.evaluate(script, ["cat.jpg", "cat"])
        wait_for(page, "Done: 1 of 1 file")
        page.get_by_label("Put single files into the folder").fill("pets")
        page.evaluate(script, ["dog.jpg", "dog"])
        wait_for(page, "it is started")
    assert sorted(objects(console)) == ["inbox/cat.jpg", "inbox/pets/_READY", "inbox/pets/dog.jpg"]


def test_after_a_reload_in_the_middle_the_same_folder_goes_on(
    page: "Page",
    page_errors: list[str],
    console: Console,
    trip: Path,
    assert_whole: Callable[[], None],
) -> None:
    with serve(console, "/drop") as served:
        page.goto(served.address)
        stop_in_the_middle(page, choose, trip)
        assert READY not in objects(console)
        reload(page)
        wait_for(page, "An upload was interrupted")
        requests: list[str] = []
        page.on("request", lambda one: requests.append(one.url) if "drop/file" in one.url else None)
        choose(page, trip)
        wait_for(page, "it is started")
        assert len(requests) == FILES - ARRIVED, "what is there is not sent again"
        wait_for(page, f"{ARRIVED} already there")
    assert_whole()


@pytest.mark.parametrize("is_whole", [True, False])
def test_after_a_reload_one_click_goes_on_with_what_was_dragged(
    page: "Page",
    page_errors: list[str],
    console: Console,
    trip: Path,
    is_whole: bool,
    assert_whole: Callable[[], None],
) -> None:
    """Chromium's handles leave out names such as `<b>`: then the folder is to be dropped again."""
    if is_whole:
        for number, path in enumerate(sorted((trip / "day 1 & <b>").iterdir())):
            path.rename(path.with_name(f"{number}.jpg"))
        (trip / "day 1 & <b>").rename(trip / "day 1")
    with serve(console, "/drop") as served:
        page.goto(served.address)
        page.context.grant_permissions([])
        stop_in_the_middle(page, drag, trip)
        kept = {"total": FILES + len(LEFT_OUT), "handles": int(is_whole)}
        wait_until(page, lambda: remembered(page) == [kept])
        reload(page)
        wait_for(page, "An upload was interrupted")
        if is_whole:
            page.get_by_role("button", name="Go on").click()
        else:
            wait_for(page, "Drop or choose the same again")
            drag(page, trip)
        wait_for(page, "it is started")
        wait_for(page, f"{ARRIVED} already there")
        if is_whole:
            wait_until(page, lambda: remembered(page) == [])
            page.reload()
            assert remembered(page) == []
            assert page.get_by_text("An upload was interrupted").count() == 0
    assert_whole()


def test_a_console_that_was_killed_is_waited_for_and_goes_on_when_it_is_back(
    page: "Page",
    page_errors: list[str],
    console: Console,
    trip: Path,
    assert_whole: Callable[[], None],
) -> None:
    with serve(console, "/drop") as served:
        page.goto(served.address)
        held = stop_in_the_middle(page, choose, trip)
        port = int(served.origin.rpartition(":")[2])
    for route in held:
        route.continue_()
    page.unroute_all(behavior="ignoreErrors")
    wait_for(page, "The upload goes on by itself")
    with serve(console, "/nowhere", port) as served:
        wait_for(page, "The console was started again")
        page.context.new_page().goto(served.address)
        wait_for(page, "it is started")
        assert "Done: 30 of 30 files" in page.locator("#summary").inner_text()
    assert_whole()


def count_parts(console: Console) -> int:
    """The parts of the only upload that is not finished."""
    s3 = console.bucket.client
    return sum(
        len(s3.list_parts(Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"]).get("Parts", []))
        for one in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    )


def test_a_large_file_goes_on_within_it(
    page: "Page", page_errors: list[str], console: Console, tmp_path: Path
) -> None:
    large = tmp_path / "big trip.zip"
    large.write_bytes(bytes(PART_BYTES) + b"b" * PART_BYTES + b"c" * PART_BYTES + b"end")
    parts: list[str] = []

    def refuse_third(route: "Route") -> None:
        parts.append(route.request.url)
        if "number=3" not in route.request.url:
            route.continue_()

    with serve(console, "/drop") as served:
        page.goto(served.address)
        page.route("**/api/drop/part?*", refuse_third)
        page.get_by_label("Choose files").set_input_files(large)
        wait_until(page, lambda: count_parts(console) == 3)
        reload(page)
        again: list[str] = []
        page.on("request", lambda one: again.append(one.url) if "drop/part" in one.url else None)
        page.get_by_label("Choose files").set_input_files(large)
        wait_for(page, "Done: 1 of 1 file")
        assert [url.partition("number=")[2][0] for url in again] == ["3"]
    stored = console.bucket.read("inbox/big trip.zip")
    assert stored is not None
    assert stored.body == large.read_bytes()


@pytest.mark.parametrize("choice", ["Replace", "Keep both", "Skip"])
def test_what_becomes_of_other_content_of_the_same_name_is_for_a_person_to_decide(
    page: "Page", page_errors: list[str], console: Console, trip: Path, choice: str
) -> None:
    for name in ("IMG_0000.HEIC", "IMG_0001.HEIC"):
        console.bucket.put(f"inbox/trip/{name}", b"photo X")
    with serve(console, "/drop") as served:
        page.goto(served.address)
        choose(page, trip)
        wait_for(page, "2 waiting for your decision")
        assert READY not in objects(console), "it is not decided what it holds"
        page.get_by_label("the same for all further ones").check()
        button = page.get_by_role("button", name=f"{choice}: trip/IMG_0000.HEIC")
        button.focus()
        page.keyboard.press("Enter")
        wait_for(page, "it is started")
    stored, new = objects(console), expected(trip)
    old = {key: md5(b"photo X") for key in ("inbox/trip/IMG_0000.HEIC", "inbox/trip/IMG_0001.HEIC")}
    kept = {key.replace(".HEIC", " (2).HEIC"): new[key] for key in old}
    assert stored == {"Replace": new, "Keep both": new | old | kept, "Skip": new | old}[choice]


def test_what_cannot_be_sent_is_said_and_holds_the_folder_back(
    page: "Page", page_errors: list[str], console: Console, tmp_path: Path
) -> None:
    deep = tmp_path / "long" / "/".join(["d" * 202] * 5)
    deep.mkdir(parents=True)
    (deep / "a.jpg").write_bytes(b"a")
    (tmp_path / "long" / "b.jpg").write_bytes(b"b")
    with serve(console, "/drop") as served:
        page.goto(served.address)
        choose(page, tmp_path / "long")
        wait_for(page, "not started, because 1 file could not be sent")
        assert "longer than the 1,018 bytes" in page.locator("#problems").inner_text()
        assert sorted(objects(console)) == ["inbox/long/b.jpg"]
        page.get_by_role("button", name="Start it without them").click()
        wait_for(page, "it is started")
    assert sorted(objects(console)) == ["inbox/long/_READY", "inbox/long/b.jpg"]


def test_an_empty_folder_is_said_to_be_empty(
    page: "Page", page_errors: list[str], console: Console, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with serve(console, "/drop") as served:
        page.goto(served.address)
        drag(page, tmp_path / "empty")
        wait_for(page, "empty: It holds no files.")
        page.get_by_role("button", name="Try again").click()
        wait_for(page, "empty: It holds no files.")
    assert objects(console) == {}


def test_what_aws_refuses_is_a_sentence_and_can_be_tried_again(
    page: "Page", console: Console, trip: Path, assert_whole: Callable[[], None]
) -> None:
    with serve(console, "/drop") as served:
        page.goto(served.address)
        body = json.dumps({"error": "Your AWS credentials may not do that."})
        page.route(
            "**/api/drop/file?*IMG_0003*",
            lambda route: route.fulfill(status=400, content_type="application/json", body=body),
        )
        choose(page, trip)
        wait_for(page, "IMG_0003.HEIC: Your AWS credentials may not do that.")
        wait_for(page, "not started, because 1 file")
        page.unroute_all(behavior="ignoreErrors")
        page.get_by_role("button", name="Try again").click()
        wait_for(page, "it is started")
    assert_whole()


def test_a_key_that_may_not_be_used_is_said_of_each_file_and_nothing_is_lost(
    page: "Page", console: Console, trip: Path, assert_whole: Callable[[], None]
) -> None:
    """S3's own answer, through the console: a 403 about KMS, until somebody allows the key."""
    refusal = (
        "<Error><Code>AccessDenied</Code><Message>User is not authorized to perform: "
        "kms:GenerateDataKey on this resource</Message></Error>"
    )

    def refuse(request: Any, **_: Any) -> AWSResponse | None:
        if "IMG_0003" not in request.url:
            return None
        return AWSResponse(request.url, 403, HTTPHeaders(), MockRawResponse(refusal.encode()))

    events: Any = console.bucket.client.meta.events
    events.register_first("before-send.s3.PutObject", refuse)
    with serve(console, "/drop") as served:
        page.goto(served.address)
        choose(page, trip)
        wait_for(page, "IMG_0003.HEIC: Your AWS credentials may not do that")
        wait_for(page, "kms:GenerateDataKey")
        wait_for(page, "not started, because 1 file could not be sent")
        assert READY not in objects(console), "a folder without a file is not started by itself"
        events.unregister("before-send.s3.PutObject", refuse)
        page.get_by_role("button", name="Try again").click()
        wait_for(page, "it is started")
    assert_whole()


def test_nothing_serious_is_found_while_it_works_and_while_it_waits_for_a_person(
    look_page: "Page", assert_accessible: AssertAccessible, console: Console, trip: Path
) -> None:
    console.bucket.put("inbox/trip/IMG_0000.HEIC", b"other")
    with serve(console, "/drop") as served:
        look_page.goto(served.address)
        assert_accessible(look_page, "empty")
        stop_in_the_middle(look_page, choose, trip)
        wait_for(look_page, "waiting for your decision")
        assert_accessible(look_page, "in the middle")
        look_page.unroute_all(behavior="ignoreErrors")
