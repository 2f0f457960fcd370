"""What the guard lets through, row by row; the servers behind it are in tests/contract."""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.access import guard
from infra.local.access.guard import SIGNER, Credential, Guard, Message, Receive, Scope, Send

KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PORT = 4566
HOST = f"127.0.0.1:{PORT}"
LIMIT = 1000

Headers = list[tuple[bytes, bytes]]


class Behind:
    """An application that reads a body to its end and then acts, as both servers do."""

    def __init__(self) -> None:
        self.acted: list[bytes] = []
        self.signer = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.signer = scope[SIGNER]
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            more = message["more_body"]
        self.acted.append(body)
        headers = [(b"access-control-allow-origin", b"*"), (b"x-kept", b"yes")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"done"})


async def find(key_id: str) -> Credential:
    if key_id == "ASIATEMPORARY":
        return Credential(SECRET, "a token")
    if key_id != KEY_ID:
        raise guard.unknown_key()
    return Credential(SECRET)


def signed(
    method: str = "GET",
    target: str = "/b/k",
    body: bytes = b"",
    host: str = HOST,
    service: str = "s3",
    key: tuple[str, str, str | None] = (KEY_ID, SECRET, None),
    more: dict[str, str] | None = None,
) -> Headers:
    request = AWSRequest(method, f"http://{host}{target}", {"Host": host, **(more or {})}, body)
    request.context["payload_signing_enabled"] = True
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials(*key), service, "us-east-1").add_auth(request)
    return [(n.lower().encode(), str(v).encode()) for n, v in request.headers.items()]


def ask(
    headers: Headers,
    method: str = "GET",
    target: str = "/b/k",
    body: Iterable[bytes] = (),
    services: frozenset[str] = frozenset(),
    buckets: bool = True,
    **scope: Any,
) -> tuple[int, dict[str, str], bytes, Behind]:
    """(status, headers, body, the application that may have been reached)."""
    behind, sent = Behind(), []
    parts = urlsplit(target)
    pieces = [*body] or [b""]
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": n < len(pieces)}
        for n, piece in enumerate(pieces, 1)
    ]
    whole: Scope = {
        "type": "http",
        "method": method,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": headers,
        "http_version": "1.1",
        **scope,
    }

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(behind, PORT, find, LIMIT, services, buckets)(whole, receive, send))
    start = sent[0]
    told = {n.decode(): v.decode() for n, v in start.get("headers", [])}
    return start.get("status", 0), told, b"".join(m.get("body", b"") for m in sent), behind


def test_who_signs_gets_through_and_nothing_tells_a_browser_that_others_may() -> None:
    status, headers, body, behind = ask(signed())
    assert (status, body, behind.signer) == (200, b"done", KEY_ID)
    assert headers == {"x-kept": "yes"}


@pytest.mark.parametrize(
    "host",
    [
        *(HOST, "localhost:4566", "LocalHost:4566", "[::1]:4566"),
        *("bucket.localhost:4566", "my-bucket.s3.localhost:4566"),
    ],
)
def test_the_servers_own_names_are_let_through(host: str) -> None:
    assert ask(signed(host=host))[0] == 200
    own = [(b"origin", f"http://{host}".encode()), (b"sec-fetch-site", b"same-origin")]
    assert ask([*signed(host=host), *own])[0] == 200


HOSTS = [
    *("", "evil.example", "evil.example:4566", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:45660"),
    *("localhost", "localhost.:4566", "127.0.0.1.:4566", "localhost.evil.example:4566"),
    *("evil.example#localhost:4566", "x@127.0.0.1:4566", "127.0.0.1:4566@evil.example"),
    *("127.1:4566", "127.0.0.2:4566", "2130706433:4566", "0x7f000001:4566", "0177.0.0.1:4566"),
    *("0.0.0.0:4566", "0:4566", "[::]:4566", "[::ffff:127.0.0.1]:4566", "[::1%25lo]:4566"),
    *("[::1%lo]:4566", "[0:0:0:0:0:0:0:1]:4566", "::1:4566", "127.0.0.1:04566", "127.0.0.1:+4566"),
    *("bucket.127.0.0.1:4566", "bucket.evil.example:4566", "bucket.s3.amazonaws.com:4566"),
    *("bucket.s3.localhost.localstack.cloud:4566", "localhost.localstack.cloud:4566"),
    *("127.0.0.1.nip.io:4566", "localtest.me:4566", "lvh.me:4566", "bucket.localhost.evil:4566"),
    *(
        ".localhost:4566",
        "a.b.c.localhost:4566",
        "x.execute-api.localhost:4566",
        "bucket.localhost",
    ),
    *("127.0.0.1:4566, 127.0.0.1:4566", "127.0.0.1:4566\n", "127。0。0。1:4566", "ⓛocalhost:4566"),
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_a_name_server_could_point_here_is_refused(host: str) -> None:
    as_sent = [(n, host.encode() if n == b"host" else v) for n, v in signed()]
    status, headers, body, behind = ask(as_sent)
    assert (status, behind.acted) == (403, [])
    assert b"<Code>AccessDenied</Code>" in body
    assert b"Host is" in body
    assert not [name for name in headers if name.startswith("access-control-")]


ROWS: list[tuple[str, Headers]] = [
    *(
        ("Origin is", [(b"origin", origin)])
        for origin in (
            *(b"http://evil.example", b"null", b"", b"https://127.0.0.1:4566", b"http://127.0.0.1"),
            *(b"http://127.0.0.1:4567", b"http://localhost:4566", b"http://bucket.localhost:4566"),
            *(b"http://127.0.0.1:4566.evil.example", b"http://127.0.0.1:4566 http://evil.example"),
            *(b"file://", b"chrome-extension://abc", b"http://[::1]:4566", b"http://127.1:4566"),
        )
    ),
    ("Origin is", [(b"origin", f"http://{HOST}".encode()), (b"origin", b"http://evil.example")]),
    *(
        ("Sec-Fetch-Site is", [(b"sec-fetch-site", site)])
        for site in (b"cross-site", b"same-site", b"", b"None", b"none, none", b"anything")
    ),
    ("Sec-Fetch-Site is", [(b"sec-fetch-site", b"none"), (b"sec-fetch-site", b"cross-site")]),
    ("Host is", [(b"host", HOST.encode())]),
    ("Host is", [(b"host", b"evil.example")]),
]


@pytest.mark.parametrize(("why", "more"), ROWS)
def test_what_a_browser_sends_for_another_page_is_refused_though_signed(
    why: str, more: Headers
) -> None:
    status, headers, body, behind = ask([*signed(), *more])
    assert (status, behind.acted) == (403, [])
    assert why in body.decode()
    assert not [name for name in headers if name.startswith("access-control-")]


def test_what_a_person_opens_is_let_through() -> None:
    assert (
        ask([*signed(), (b"sec-fetch-site", b"none"), (b"sec-fetch-mode", b"navigate")])[0] == 200
    )


def test_no_preflight_is_answered() -> None:
    asked = [(b"host", HOST.encode()), (b"access-control-request-method", b"PUT")]
    status, headers, _, behind = ask(asked, "OPTIONS")
    assert (status, behind.acted) == (403, [])
    assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "target", ["http://evil.example/b/k", f"http://{HOST}/b/k", "*", "b/k", ""]
)
def test_a_target_that_names_another_place_is_refused(target: str) -> None:
    status, _, body, behind = ask(signed(), raw_path=target.encode())
    assert (status, behind.acted) == (403, [])
    assert b"request target is" in body


def test_one_way_to_tell_a_body_and_one_version() -> None:
    length = (b"content-length", b"0")
    assert ask([*signed(), length, (b"transfer-encoding", b"chunked")])[0] == 400
    assert ask([*signed(), length, length])[0] == 400
    assert ask([*signed(), length], http_version="2")[0] == 400
    assert ask([*signed(), length])[0] == 200


def test_no_web_socket_is_opened() -> None:
    behind, sent = Behind(), []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "headers": signed()}
    asyncio.run(Guard(behind, PORT, find, LIMIT)(scope, receive, send))
    assert (sent, behind.acted) == ([{"type": "websocket.close", "code": 1008}], [])


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TARGET = {"X-Amz-Target": "SageMaker.ListModels"}


@pytest.mark.parametrize(
    ("service", "target", "more", "unsigned", "unknown"),
    [
        ("s3", "/b/k", {}, "<Code>AccessDenied</Code>", "<Code>InvalidAccessKeyId</Code>"),
        *(
            (service, target, more, before.format(missing), before.format(unknown))
            for missing, unknown in [("MissingAuthenticationToken", "InvalidClientTokenId")]
            for service, target, more, before in [
                ("sts", "/", FORM, "<Code>{}</Code>"),
                ("sagemaker", "/", TARGET, '"__type": "{}"'),
                ("lambda", "/2015-03-31/functions", {}, '"__type": "{}"'),
                ("sagemaker", "/endpoints/e/invocations", {}, '"__type": "{}"'),
            ]
        ),
    ],
)
def test_the_refusal_is_awss_own(
    service: str, target: str, more: dict[str, str], unsigned: str, unknown: str
) -> None:
    bare = [(b"host", HOST.encode()), *((n.lower().encode(), v.encode()) for n, v in more.items())]
    status, _, body, behind = ask(bare, "POST", target)
    assert (status, behind.acted) == (403, [])
    assert unsigned in body.decode()
    for key in (
        (f"{KEY_ID}X", SECRET, None),
        ("test", "test", None),
        ("000000000000", "test", None),
    ):
        strange = signed("POST", target, service=service, key=key, more=more)
        status, _, body, behind = ask(strange, "POST", target)
        assert (status, behind.acted) == (403, [])
        assert unknown in body.decode()
    wrong = signed("POST", target, service=service, key=(KEY_ID, "wrong", None), more=more)
    status, _, body, behind = ask(wrong, "POST", target)
    assert (status, behind.acted) == (403, [])
    assert "SignatureDoesNotMatch" in body.decode()


def test_a_head_is_refused_without_a_body() -> None:
    status, headers, body, _ = ask([(b"host", HOST.encode())], "HEAD")
    assert (status, headers["content-length"], body) == (403, "0", b"")


@pytest.mark.parametrize("token", [None, "another token"])
def test_temporary_keys_need_their_token(token: str | None) -> None:
    assert ask(signed(key=("ASIATEMPORARY", SECRET, "a token")))[0] == 200
    status, _, _, behind = ask(signed(key=("ASIATEMPORARY", SECRET, token)))
    assert (status, behind.acted) == (403, [])


def test_a_key_without_a_token_takes_none() -> None:
    assert ask(signed(key=(KEY_ID, SECRET, "a token")))[0] == 403


@pytest.mark.parametrize("service", ["s3", "lambda"])
def test_nobody_acts_on_a_body_that_was_not_signed(service: str) -> None:
    headers = signed("PUT", body=b"what was signed", service=service)
    assert ask(headers, "PUT", body=[b"what was", b" signed"])[3].acted == [b"what was signed"]
    status, _, body, behind = ask(headers, "PUT", body=[b"what was", b" Signed"])
    assert (status, behind.acted) == (400 if service == "s3" else 403, [])
    assert b"Mismatch" in body or b"DoesNotMatch" in body


def test_a_body_whose_hash_nobody_told_is_held_in_bounds() -> None:
    body = b"x" * (LIMIT + 1)
    status, _, _, behind = ask(signed("POST", body=body, service="lambda"), "POST", body=[body])
    assert (status, behind.acted) == (413, [])
    assert ask(signed("PUT", body=body), "PUT", body=[body])[0] == 200


def test_an_application_that_reads_no_body_is_not_asked_before_the_signature_holds() -> None:
    """It would act at once, and what is signed here covers a hash that only the body tells."""
    target = "/2015-03-31/functions/f"
    wrong = signed("DELETE", target, service="lambda", key=(KEY_ID, "x", None))
    assert ask(wrong, "DELETE", target)[3].signer == ""


def test_a_signature_for_another_service_is_refused_where_one_is_served() -> None:
    only = frozenset({"sagemaker"})
    for service, status in (("sagemaker", 200), ("s3", 403), ("sts", 403)):
        headers = signed("POST", "/", service=service)
        assert ask(headers, "POST", "/", services=only)[0] == status, service


def test_a_bucket_is_a_name_of_the_emulator_only() -> None:
    assert ask(signed(host=f"bucket.localhost:{PORT}"), buckets=False)[0] == 403
