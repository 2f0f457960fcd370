"""A real browser opens a page of another port, which tries to use the local cloud.

The page knows the addresses, the bucket, and even presigned URLs: those are signed as they must be,
so that what stops the page is where it comes from.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.contract.local_guard.conftest import BUCKET, Servers

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 90.0
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Nothing of it leaves this machine, and this name is what a rebound name server would say.
EVIL = "MAP evil.example 127.0.0.1"
NO_OTHERS = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
HOSTS = ("127.0.0.1", "localhost", "evil.example")
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c626001000000050001a5f645400000000049454e44ae426082"
)

PAGE = (Path(__file__).parent / "page.html").read_text()


@dataclass
class Page:
    """Served on a port of its own; `seen` is what its script says of each try."""

    html: bytes = b""
    seen: dict[str, Any] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def served(self) -> Iterator[int]:
        handler = type("Handler", (PageHandler,), {"page": self})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()


class PageHandler(BaseHTTPRequestHandler):
    page: ClassVar[Page]

    def do_GET(self) -> None:
        self._answer(self.page.html)

    def do_POST(self) -> None:
        report = self.rfile.read(int(self.headers["Content-Length"]))
        self.page.seen = json.loads(report)
        self._answer(b"")
        self.page.done.set()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def chromium(tmp_path: Path) -> list[str]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    return [CHROMIUM, *FLAGS, _resolve(EVIL), f"--user-data-dir={tmp_path / 'profile'}"]


def _resolve(rule: str) -> str:
    return f"--host-resolver-rules={rule}, {NO_OTHERS}"


def test_a_page_of_another_port_can_do_nothing(servers: Servers, chromium: list[str]) -> None:
    s3, sts = servers.client("s3"), servers.client("sts")
    s3.put_object(Bucket=BUCKET, Key="kept.png", Body=PIXEL, ContentType="image/png")
    s3.put_object(Bucket=BUCKET, Key="kept.js", Body=b"1", ContentType="text/javascript")
    at = {"Bucket": BUCKET, "Key": "kept.png"}
    signed = {
        "image": s3.generate_presigned_url("get_object", Params=at),
        "script": s3.generate_presigned_url("get_object", Params=at | {"Key": "kept.js"}),
        "upload": s3.generate_presigned_url(
            "create_multipart_upload", Params=at, HttpMethod="POST"
        ),
        "caller": sts.generate_presigned_url("get_caller_identity"),
        "user": servers.client("iam").generate_presigned_url(
            "create_user", Params={"UserName": "by-a-page"}, HttpMethod="POST"
        ),
    }
    aws, sagemaker = servers.ports.aws, servers.ports.sagemaker
    for host in HOSTS:
        objects, models = (
            servers.client(name, url=f"http://{host}:{port}")
            for name, port in (("s3", aws), ("sagemaker", sagemaker))
        )
        signed[f"image at {host}"] = objects.generate_presigned_url("get_object", Params=at)
        signed[f"write at {host}"] = objects.generate_presigned_url(
            "put_object", Params=at | {"Key": "by-a-page"}
        )
        signed[f"models at {host}"] = models.generate_presigned_url("list_models")
    told = {
        "addresses": [f"http://{host}:{port}" for port in (aws, sagemaker) for host in HOSTS],
        "bucket": BUCKET,
        "function": json.dumps(
            {"FunctionName": "by-a-page", "Role": "arn:aws:iam::000000000000:role/r"}
        ),
        "signed": signed,
    }
    page = Page(PAGE.replace("= TOLD,", f"= {json.dumps(told)},").encode())
    with page.served() as port:
        for name in ("127.0.0.1", "evil.example"):
            page.done.clear()
            _open(chromium, f"http://{name}:{port}/", page.done)
            got = {what for what, answer in page.seen.items() if answer not in TOLD_NOTHING}
            assert not got, {what: page.seen[what] for what in got}
            assert page.seen["image signed image"] == "refused"
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert "by-a-page" not in keys
    assert "kept.png" in keys
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    assert "by-a-page" not in str(servers.client("lambda").list_functions()["Functions"])
    assert "by-a-page" not in str(servers.client("iam").list_users()["Users"])


TOLD_NOTHING = ("refused", "opaque", "sent", "silent")
"""`opaque` and `sent` say that something was answered: what it did is looked up in the cloud."""


def test_an_address_that_a_person_opens_is_shown_and_a_rebound_name_is_not(
    servers: Servers, chromium: list[str]
) -> None:
    s3 = servers.client("s3")
    s3.put_object(Bucket=BUCKET, Key="a.html", Body=b"<p>a report</p>", ContentType="text/html")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "a.html"})
    assert "a report" in _shown(chromium, url)
    local = servers.client("s3", url=f"http://localhost:{servers.ports.aws}")
    at = {"Bucket": BUCKET, "Key": "a.html"}
    assert "a report" in _shown(chromium, local.generate_presigned_url("get_object", Params=at))
    elsewhere = _shown(chromium, url.replace("127.0.0.1", "evil.example"))
    assert f"Host is evil.example:{servers.ports.aws}" in elsewhere
    assert "a report" not in elsewhere


def _open(chromium: list[str], url: str, done: threading.Event) -> None:
    with subprocess.Popen(
        [*chromium, url], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            assert done.wait(PATIENCE), "the page's script did not come to its end"
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def _shown(chromium: list[str], url: str) -> str:
    done = subprocess.run(
        [*chromium, "--dump-dom", url], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return done.stdout
