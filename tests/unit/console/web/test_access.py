"""Who may use the console."""

from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from console.web.access import CSRF_HEADER, Access, Guard
from tests.support.worlds.consoles import Client

COOKIE = "sortbox-8123"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
WRITES = METHODS[2:]


def secret(request: Request) -> PlainTextResponse:
    return PlainTextResponse("of the stage")


def opened(access: Access) -> Client:
    routes = [Route("/look", secret, methods=METHODS), Route("/api/look", secret, methods=METHODS)]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, access=access)])
    return Client(app, {COOKIE: access.session}, {CSRF_HEADER: access.csrf})


@pytest.fixture
def access() -> Access:
    return Access()


@pytest.mark.parametrize("method", METHODS)
def test_a_page_of_the_console_reads_and_writes(access: Access, method: str) -> None:
    assert opened(access).request(method, "/look").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8123"},
        {"Host": "127.0.0.1:9999"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:8123.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/look", "/api/look", "/enter", "/nowhere", "/static/x.js"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_site_gets_nothing(
    access: Access, headers: dict[str, str], path: str, method: str
) -> None:
    answer = opened(access).request(method, f"{path}?token={access.token}", headers=headers)
    assert answer.status_code == 403
    assert "of the stage" not in answer.text
    assert "access-control-allow-origin" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("cookie", [b"", b"wrong", b"wrong;", b"\x80"], ids=repr)
@pytest.mark.parametrize("path", ["/look", "/api/look", "/nowhere", "/"])
def test_without_the_cookie_there_is_nothing(access: Access, cookie: bytes, path: str) -> None:
    stranger = replace(opened(access), cookies={})
    for headers in ({}, {"Cookie": f"{COOKIE}=".encode() + cookie}):
        answer = stranger.get(path, headers=headers)
        assert answer.status_code == 403
        assert "of the stage" not in answer.text


def test_the_cookie_of_a_console_on_another_port_is_not_taken(access: Access) -> None:
    assert (
        replace(opened(access), cookies={"sortbox-9999": access.session}).get("/look").status_code
        == 403
    )


def test_odd_cookies_of_other_ports_do_not_lock_one_out(access: Access) -> None:
    cookie = f'we;ird="; a[b]=c; {COOKIE}={access.session}; =x'
    stranger = replace(opened(access), cookies={})
    assert stranger.get("/look", headers={"Cookie": cookie}).status_code == 200


@pytest.mark.parametrize("method", WRITES)
def test_a_write_needs_what_only_our_own_pages_can_read(access: Access, method: str) -> None:
    for headers in ({}, {CSRF_HEADER: "wrong"}, {CSRF_HEADER: access.session}):
        answer = replace(opened(access), headers=headers).request(method, "/look")
        assert answer.status_code == 403, headers


@pytest.mark.parametrize("method", WRITES)
def test_a_read_only_console_changes_nothing(method: str) -> None:
    client = opened(Access(read_only=True))
    assert client.request(method, "/look").status_code == 403
    assert "read-only" in client.request(method, "/api/look").json()["error"]
    assert client.get("/look").status_code == 200


def test_the_printed_address_gives_the_cookie_and_leads_on(access: Access) -> None:
    stranger = replace(opened(access), cookies={})
    answer = stranger.get(access.entry("/look?folder=trip%2F"))
    assert answer.status_code == 303
    assert answer.headers["location"] == "/look?folder=trip%2F"
    cookie = answer.headers["set-cookie"]
    assert f"{COOKIE}={access.session}" in cookie
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert "referrer-policy" in answer.headers


@pytest.mark.parametrize("token", ["", "wrong", "%C3%A4"])
def test_a_wrong_token_lets_nobody_in(access: Access, token: str) -> None:
    answer = replace(opened(access), cookies={}).get(f"/enter?token={token}&to=/look")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "http://evil.example", "javascript:alert(1)", ""]
)
def test_the_way_in_leads_to_this_console_only(access: Access, path: str) -> None:
    answer = opened(access).get("/enter", params={"token": access.token, "to": path})
    assert answer.headers["location"] == "/"


def test_every_answer_says_what_a_browser_must_not_do(access: Access) -> None:
    client = opened(access)
    for answer in (
        client.get("/look"),
        client.get("/nowhere"),
        replace(client, cookies={}).get("/"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy, "a script that a label smuggles in would run"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"


def test_every_console_has_its_own_secrets() -> None:
    one, other = Access(), Access()
    secrets = {one.token, one.session, one.csrf, other.token, other.session, other.csrf}
    assert len(secrets) == 6
    assert min(map(len, secrets)) >= 32
