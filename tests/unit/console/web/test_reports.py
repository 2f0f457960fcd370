"""What the console shows of the bucket, and what it never shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from console.web.access import CSRF_HEADER, Access, Guard
from console.web.reports import Reports
from infra.models.preview import PREVIEWS
from pages.render import policy
from tests.support.worlds.consoles import BUCKET, Client, client, mocked_console

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


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A console with these objects, the reports of one job, a preview, and an index."""
    monkeypatch.chdir(tmp_path)
    PREVIEWS.mkdir(parents=True)
    (PREVIEWS / "pets-0123.html").write_text("<html>preview")
    (PREVIEWS.parent / "secret.html").write_text("<html>secret")
    (tmp_path / "report.html").write_text("<html>job")
    (tmp_path / "secret.html").write_text("<html>secret")
    with mocked_console(tmp_path / "console") as console:
        for key, body in OBJECTS.items():
            console.bucket.client.put_object(Bucket=BUCKET, Key=key, Body=body)
        reports = Reports(
            console.bucket,
            lambda: "<html>index",
            lambda job: tmp_path if job == "job-1" else None,
        )
        access = Access()
        app = Starlette(routes=reports.routes(), middleware=[Middleware(Guard, access=access)])
        app.state.console, app.state.access = console, access
        yield Client(app, {"sortbox-8123": access.session}, {CSRF_HEADER: access.csrf})


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("", 200, "text/html; charset=utf-8"),
        ("outbox/trip/_report.html", 200, "text/html; charset=utf-8"),
        ("outbox/trip/predictions.csv", 200, "text/csv; charset=utf-8"),
        ("inbox/trip/a.jpg", 200, "image/jpeg"),
        ("inbox/trip/page.html", 200, "application/octet-stream"),
        ("jobs/job-1/report.html", 200, "text/html; charset=utf-8"),
        ("jobs/job-1/secret.html", 404, "text/html; charset=utf-8"),
        ("jobs/job-1/..%2Freport.html", 404, "text/html; charset=utf-8"),
        ("jobs/job-2/report.html", 404, "text/html; charset=utf-8"),
        ("previews/pets-0123.html", 200, "text/html; charset=utf-8"),
        ("previews/dogs-0123.html", 404, "text/html; charset=utf-8"),
        ("previews/..%2Fsecret.html", 404, "text/html; charset=utf-8"),
        ("outbox/trip/evil.html", 404, "text/html; charset=utf-8"),
        ("outbox/gone.json", 404, "text/html; charset=utf-8"),
        ("models/active.json", 404, "text/html; charset=utf-8"),
        ("work/claims/x.json", 404, "text/html; charset=utf-8"),
    ],
)
def test_reports_are_shown_and_nothing_else(
    stage: Client, path: str, status: int, kind: str
) -> None:
    answer = stage.get(f"/reports/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["jobs/job-1/report.html", "previews/pets-0123.html", "outbox/trip/_report.html", ""]
)
def test_a_page_runs_no_script_but_ours_whoever_wrote_it(stage: Client, path: str) -> None:
    """A report of a job is whatever its archive held, and could read the inbox from here."""
    assert stage.get(f"/reports/{path}").headers["content-security-policy"] == policy()


def test_a_large_picture_comes_whole(stage: Client) -> None:
    assert stage.get("/reports/inbox/trip/a.jpg").content == JPEG


def test_an_upload_is_no_page_even_where_a_browser_shows_it(stage: Client) -> None:
    answer = stage.get("/reports/inbox/trip/page.html")
    assert answer.headers["content-disposition"] == "attachment"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_nothing_can_be_changed_there(stage: Client) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert stage.request(method, "/reports/outbox/trip/_report.html").status_code == 405


def test_what_aws_refuses_is_a_sentence(tmp_path: Path) -> None:
    with mocked_console(tmp_path / "console") as console:
        console.bucket.client.delete_bucket(Bucket=BUCKET)
        answer = client(console).get("/reports/inbox/a.jpg")
        assert answer.status_code == 502
        assert "AWS refused" in answer.text
