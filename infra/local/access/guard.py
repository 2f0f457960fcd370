"""Access control for the servers of the local cloud: only programs on this machine with its keys.

This is an ASGI middleware around a server's application. It rejects, in this order: requests that a
web page makes a browser send (a foreign Origin or Sec-Fetch-Site, a Host that a name server could
point to this machine, a CORS preflight, a WebSocket), then requests that are not signed with a
known key. It uses the standard library only, because the emulator's environment does not contain
Sortbox's packages.

If the signature covers the body's hash, the body is verified while it is streamed to the
application. If the hash must be computed from the body itself, the body is read first, up to
`unverified_bytes`.
"""

import asyncio
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from infra.local.access import sigv4
from infra.local.access.sigv4 import BodyCheck, HttpRequest, RequestRefusedError, Signature

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SIGNER = "sortbox.signer"
"""The key in the application's scope with the id of the access key that signed the request."""

OF_THIS_PAGE = frozenset({"none", "same-origin"})
"""Values of Sec-Fetch-Site for an address that a user typed or opened, and for the server's own
pages."""

LOOPBACK = r"127\.0\.0\.1|localhost|\[::1\]"
BUCKET = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9](?:\.s3)?\.localhost"
"""No name server resolves `.localhost` (RFC 6761). Other names with loopback addresses, such as
localhost.localstack.cloud, belong to third parties who could point them elsewhere."""

DRAINED_BYTES = 8 * 1024 * 1024
DRAIN_SECONDS = 5.0
"""How long the rest of a body is read: a client that is still sending does not read the response.
After this time its connection is closed."""

QUERY_ERROR = (
    '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
    "<Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId>"
    "</ErrorResponse>"
)
S3_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
    "<Message>{message}</Message><RequestId>{id}</RequestId></Error>"
)
S3_WORDS = {
    "MissingAuthenticationToken": ("AccessDenied", "Access Denied"),
    "InvalidClientTokenId": (
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    "IncompleteSignature": ("AuthorizationHeaderMalformed", ""),
}
"""S3's error codes and messages, by the code of AWS's common errors:
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

JSON_PATH = re.compile(rb"/(\d{4}-\d\d-\d\d|endpoints|schedules?|tags)(/|$)")
"""Paths of the REST services that respond in JSON: Lambda, SageMaker's runtime, Scheduler."""


@dataclass(frozen=True, slots=True)
class Credential:
    secret: str
    token: str = ""
    """The session token of temporary credentials; else empty."""


Find = Callable[[str], Awaitable[Credential]]
"""Returns the credential of an access key id. Raises RequestRefusedError if it is unknown."""


def unknown_key() -> RequestRefusedError:
    return RequestRefusedError(
        "InvalidClientTokenId", "The security token included in the request is invalid."
    )


class Guard:
    """The middleware. `services` are the service names that a signature may be scoped to; empty:
    any.
    """

    def __init__(
        self,
        app: App,
        port: int,
        find: Find,
        unverified_bytes: int,
        services: frozenset[str] = frozenset(),
        buckets: bool = False,
    ) -> None:
        self._app = app
        self._find = find
        self._unverified_bytes = unverified_bytes
        self._services = services
        names = f"{LOOPBACK}|{BUCKET}" if buckets else LOOPBACK
        at = "(?::80)?" if port == 80 else f":{port}"
        self._own = re.compile(f"(?:{names}){at}", re.IGNORECASE | re.ASCII)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":  # no server here uses WebSockets
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path") or b""
        request = HttpRequest(scope["method"], raw, scope["query_string"], list(scope["headers"]))
        signature = None
        try:
            self._refuse_pages(scope, request)
            signature = sigv4.read(request)
            credential = await self._credential(signature)
            payload = sigv4.payload_hash(request, signature)
            if payload is None:
                body = await _whole(receive, self._unverified_bytes)
                payload, receive = body.hash, body.receive
            sigv4.check(request, signature, credential.secret, payload)
            check = sigv4.body_check(signature, credential.secret, payload)
        except RequestRefusedError as refused:
            if signature is not None or not request.values("origin"):
                await drain(request, receive)
            await refuse(request, signature, refused, send)
            return
        except _Gone:
            return
        passing = _Passing(receive, send, check)
        known = {**scope, SIGNER: signature.key_id}
        try:
            await self._app(known, passing.receive, passing.send)
        finally:
            if passing.refused is not None and not passing.has_begun:
                await refuse(request, signature, passing.refused, send)

    def _refuse_pages(self, scope: Scope, request: HttpRequest) -> None:
        """Raises RequestRefusedError for requests that a browser sends on behalf of another site's
        page.
        """
        hosts = [host.decode("latin-1") for host in request.values("host")]
        if len(hosts) != 1 or self._own.fullmatch(hosts[0]) is None:
            raise _foreign("Host", hosts)
        own = f"http://{hosts[0]}".lower()
        origins = [origin.decode("latin-1") for origin in request.values("origin")]
        if any(origin.lower() != own for origin in origins):
            raise _foreign("Origin", origins)
        sites = [site.decode("latin-1") for site in request.values("sec-fetch-site")]
        if not OF_THIS_PAGE.issuperset(sites):
            raise _foreign("Sec-Fetch-Site", sites)
        if request.method == "OPTIONS":
            raise RequestRefusedError(
                "AccessDenied", "No other origin may send requests: CORS is not offered."
            )
        if not request.path.startswith(b"/"):
            raise _foreign("request target", [request.path.decode("latin-1")])
        framings = request.values("content-length") + request.values("transfer-encoding")
        if scope["http_version"] not in ("1.0", "1.1") or len(framings) > 1:
            raise RequestRefusedError(
                "InvalidRequest", "Send HTTP/1.1 with one length of the body.", 400
            )

    async def _credential(self, signature: Signature) -> Credential:
        if self._services and signature.service not in self._services:
            raise RequestRefusedError(
                "SignatureDoesNotMatch",
                f"Credential should be scoped to service {', '.join(sorted(self._services))}.",
            )
        credential = await self._find(signature.key_id)
        if not hmac.compare_digest(credential.token.encode(), signature.token.encode()):
            raise unknown_key()
        sigv4.check_time(signature, datetime.now(UTC))
        return credential


class _Gone(Exception):
    """The client disconnected while its body was read."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """A body that was read completely before the application is called, with its SHA-256."""

    hash: str
    receive: Receive


async def _whole(receive: Receive, limit: int) -> _Whole:
    """Read the body. Raises RequestRefusedError if it exceeds `limit` bytes, and _Gone."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise RequestRefusedError(
                "RequestEntityTooLarge", f"The body exceeds {limit} bytes.", 413
            )
    digest = hashlib.sha256(body).hexdigest()
    kept: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def again() -> Message:
        return kept.pop() if kept else await receive()

    return _Whole(digest, again)


class _Passing:
    """Verifies a body while the application reads it; applications read a body to its end before
    they act.

    If the end of the body shows a mismatch with the signature, the application receives a
    disconnect, and the client receives the refusal.
    """

    def __init__(self, receive: Receive, send: Send, check: BodyCheck) -> None:
        self._receive = receive
        self._send = send
        self._check = check
        self.refused: RequestRefusedError | None = None
        self.has_begun = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        try:
            self._check.update(message.get("body", b""))
            if not message.get("more_body", False):
                self._check.finish()
        except RequestRefusedError as refused:
            self.refused = refused
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self.refused is not None and not self.has_begun:
            return
        self.has_begun = True
        if message["type"] == "http.response.start":
            headers = [
                (name, value)
                for name, value in message.get("headers", [])
                if not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": headers}
        await self._send(message)


def _foreign(what: str, values: list[str]) -> RequestRefusedError:
    sentence = (
        f"The local cloud answers programs on this machine, at its own address: "
        f"{what} is {', '.join(values)[:200] or 'missing'}."
    )
    return RequestRefusedError("AccessDenied", sentence)


async def drain(request: HttpRequest, receive: Receive) -> None:
    """Read what the client is still sending, so that it reads the response. A client that sent
    Expect waits, so nothing is read from it.
    """
    if request.values("expect"):
        return
    left, more = DRAINED_BYTES, True
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while more and left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                more = message.get("more_body", False)


async def refuse(
    request: HttpRequest, signature: Signature | None, refused: RequestRefusedError, send: Send
) -> None:
    number = str(uuid.uuid4())
    kind, text = _error(request, signature, refused, number)
    body = b"" if request.method == "HEAD" else text.encode()
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-requestid", number.encode()),
        (b"x-amz-request-id", number.encode()),
        (b"x-amzn-errortype", refused.code.encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _error(
    request: HttpRequest, signature: Signature | None, refused: RequestRefusedError, number: str
) -> tuple[str, str]:
    """The content type and body of an error, in the format of the request's protocol."""
    code, sentence = refused.code, str(refused)
    kinds = request.values("content-type")
    is_form = bool(kinds) and kinds[0].startswith(b"application/x-www-form-urlencoded")
    is_json = bool(request.values("x-amz-target")) or JSON_PATH.match(request.path) is not None
    service = signature.service if signature else "" if is_form or is_json else "s3"
    if service == "s3":
        code, s3_sentence = S3_WORDS.get(code, (code, ""))
        text = S3_ERROR.format(code=code, message=escape(s3_sentence or sentence), id=number)
        return "application/xml", text
    if is_form and not is_json:
        text = QUERY_ERROR.format(code=code, message=escape(sentence), id=number)
        return "text/xml", text
    return "application/json", json.dumps({"__type": code, "message": sentence})
