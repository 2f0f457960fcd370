"""Who may use the console: whoever has the address that it printed, on this machine.

The server listens on 127.0.0.1 only, but every web page and every user of the machine can send
requests to it. So a request is refused if

- its Host, Origin or Sec-Fetch-Site says that another site's page made it (this also stops names
  that are rebound to 127.0.0.1);
- it has no cookie of this console. The printed address, which holds a random token, is exchanged
  for that cookie once; SameSite=Strict keeps other sites from having it sent;
- it writes, and lacks the token that only our own pages can read, or the console is read-only.
"""

import hmac
import json
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
ENTRY = "/enter"
CSRF_HEADER = "X-CSRF-Token"
READS = frozenset({"GET", "HEAD"})
OF_THIS_PAGE = frozenset({"none", "same-origin"})

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer that does not set its own."""


def _random() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Access:
    """The secrets of one console, which end with its process."""

    read_only: bool = False
    token: str = field(default_factory=_random)
    session: str = field(default_factory=_random)
    csrf: str = field(default_factory=_random)

    def entry(self, path: str = "/") -> str:
        """The path and query that give a browser the cookie, and lead on to `path`."""
        onward = f"&to={quote(path, safe='')}" if path != "/" else ""  # `&` needs quotes in a shell
        return f"{ENTRY}?token={self.token}{onward}"


class Guard:
    """ASGI middleware: lets through what `Access` allows, and sets the headers of every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # there are no websockets: the server answers the handshake with 500

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        answer = self._answer(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _answer(self, request: Request) -> Response | None:
        """A refusal, or the way in; None for a request of one of our pages."""
        if not _is_own(request):
            return _refusal(request, "The console answers pages of its own address only.")
        if request.url.path == ENTRY:
            return self._enter(request)
        cookie = _cookies(request).get(_cookie_name(request), "")
        if not hmac.compare_digest(cookie.encode(), self._access.session.encode()):
            return _refusal(
                request,
                "This page belongs to a console that has ended, or to another browser. Open the "
                "address that `./sortbox console` has printed.",
            )
        return None if request.method in READS else self._refuse_write(request)

    def _enter(self, request: Request) -> Response:
        token = request.query_params.get("token", "")
        if not hmac.compare_digest(token.encode(), self._access.token.encode()):
            return _refusal(request, "This address has ended: start `./sortbox console` again.")
        path = request.query_params.get("to", "/")
        is_here = path.startswith("/") and not path.startswith(("//", "/\\"))
        answer = RedirectResponse(path if is_here else "/", HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            _cookie_name(request), self._access.session, httponly=True, samesite="strict"
        )
        return answer

    def _refuse_write(self, request: Request) -> Response | None:
        if self._access.read_only:
            return _refusal(request, "This console is read-only: start it without --read-only.")
        token = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(token.encode(), self._access.csrf.encode()):
            return _refusal(request, "This page is outdated: reload it.")
        return None


def _is_own(request: Request) -> bool:
    _, port = request.scope["server"]
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if host not in hosts or (origin is not None and origin != f"http://{host}"):
        return False
    return request.headers.get("sec-fetch-site", "none") in OF_THIS_PAGE


def _cookie_name(request: Request) -> str:
    """Browsers share cookies between the ports of a host."""
    return f"sortbox-{request.scope['server'][1]}"


def _cookies(request: Request) -> dict[str, str]:
    """Those that are well formed: any page of another port of this host may set odd ones."""
    cookies: dict[str, str] = {}
    for one in request.headers.get("cookie", "").split(";"):
        try:
            cookies |= {name: morsel.value for name, morsel in SimpleCookie(one).items()}
        except CookieError:
            continue
    return cookies


def _refusal(request: Request, sentence: str) -> Response:
    if request.url.path.startswith("/api/"):
        body = json.dumps({"error": sentence})
        return Response(body, HTTPStatus.FORBIDDEN, media_type="application/json")
    return PlainTextResponse(f"{sentence}\n", HTTPStatus.FORBIDDEN)
