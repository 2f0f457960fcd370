"""What the viewer shows, and to whom."""

import asyncio
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.response import StreamingBody

from aws.bucket import Bucket
from infra.viewer import Viewer
from pages.render import policy
from tests.support.fakes.aws import error

OWN = "http://127.0.0.1:8123"
JPEG = b"\xff\xd8\xff" + bytes(200_000)
OBJECTS = {
    "outbox/trip/_report.html": b"<html>report",
    "outbox/trip/evil.html": b"<html>evil",
    "outbox/trip/predictions.csv": b"a,b",
    "inbox/trip/a.jpg": JPEG,
    "inbox/trip/page.html": b"<html><script>alert(1)</script>",
    "models/active.json": b"{}",
    "work/claims/x.json": b"{}",
}


@dataclass
class S3:
    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in OBJECTS:
            raise error("GetObject", 404, "NoSuchKey")
        body = OBJECTS[Key]
        return {"Body": StreamingBody(io.BytesIO(body), len(body)), "ContentLength": len(body)}


@dataclass(frozen=True)
class Client:
    viewer: Viewer

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.viewer.app())
            async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(ask())

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.request("GET", path, headers)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    (tmp_path / "report.html").write_text("<html>job")
    (tmp_path / "secret.html").write_text("<html>secret")
    s3: Any = S3()
    viewer = Viewer(
        Bucket(s3, "bucket"),
        lambda: "<html>index",
        lambda job: tmp_path if job == "job-1" else None,
        "secret",
    )
    return Client(viewer)


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("", 200, "text/html; charset=utf-8"),
        ("outbox/trip/_report.html", 200, "text/html; charset=utf-8"),
        ("outbox/trip/predictions.csv", 200, "text/csv; charset=utf-8"),
        ("inbox/trip/a.jpg", 200, "image/jpeg"),
        ("inbox/trip/page.html", 200, "application/octet-stream"),
        ("jobs/job-1/report.html", 200, "text/html; charset=utf-8"),
        ("jobs/job-1/secret.html", 404, "text/plain; charset=utf-8"),
        ("jobs/job-1/..%2Freport.html", 404, "text/plain; charset=utf-8"),
        ("jobs/job-2/report.html", 404, "text/plain; charset=utf-8"),
        ("outbox/trip/evil.html", 404, "text/plain; charset=utf-8"),
        ("outbox/gone.json", 404, "text/plain; charset=utf-8"),
        ("models/active.json", 404, "text/plain; charset=utf-8"),
        ("work/claims/x.json", 404, "text/plain; charset=utf-8"),
    ],
)
def test_reports_are_shown_and_nothing_else(
    client: Client, path: str, status: int, kind: str
) -> None:
    answer = client.get(f"/secret/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer", "the secret is in the address"


@pytest.mark.parametrize("path", ["jobs/job-1/report.html", "outbox/trip/_report.html", ""])
def test_a_page_runs_no_script_but_ours_whoever_wrote_it(client: Client, path: str) -> None:
    """A report of a job is whatever its archive held, and could read the inbox from here."""
    assert client.get(f"/secret/{path}").headers["content-security-policy"] == policy()


def test_a_large_picture_comes_whole(client: Client) -> None:
    assert client.get("/secret/inbox/trip/a.jpg").content == JPEG


def test_an_upload_is_no_page_even_where_a_browser_shows_it(client: Client) -> None:
    answer = client.get("/secret/inbox/trip/page.html")
    assert answer.headers["content-disposition"] == "attachment"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/outbox/trip/_report.html", "/secretx/"])
def test_without_the_secret_there_is_nothing(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "report" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8123"},
        {"Host": "127.0.0.1:9999"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["", "inbox/trip/a.jpg", "jobs/job-1/report.html"])
def test_a_page_of_another_site_gets_nothing(
    client: Client, headers: dict[str, str], path: str
) -> None:
    answer = client.get(f"/secret/{path}", headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_nothing_can_be_changed(client: Client) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert client.request(method, "/secret/outbox/trip/_report.html").status_code == 405
