"""Give the local SageMaker the keys that only the emulator knows, those of roles and users.

The emulator returns them only for requests signed with the key of the cloud's owner.
"""

import asyncio
import json
import time
from collections.abc import Callable
from urllib.parse import quote, unquote
from urllib.request import ProxyHandler, Request, build_opener

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.access import guard
from infra.local.access.guard import App, Credential, Receive, Scope, Send
from infra.local.access.sigv4 import RequestRefusedError

PATH = "/_sortbox/keys/"
KEPT_SECONDS = 30.0
KEPT = 1000
ANSWER_SECONDS = 10.0

_open = build_opener(ProxyHandler({})).open
"""Opens URLs without a proxy."""


def serve_keys(owner: str, resolve: Callable[[str], Credential], app: App) -> App:
    """`app`, with PATH added: it returns the keys that `resolve` knows, if access key `owner`
    signed the request.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PATH):
            await app(scope, receive, send)
            return
        status, reply = 403, {}
        if scope[guard.SIGNER] == owner:
            try:
                credential = resolve(unquote(scope["path"].removeprefix(PATH)))
                status, reply = 200, {"secret": credential.secret, "token": credential.token}
            except RequestRefusedError:
                status = 404
        body = json.dumps(reply).encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    return application


class Keys:
    """The owner's key, and the keys that the emulator at `url` knows, cached for KEPT_SECONDS."""

    def __init__(self, key_id: str, secret: str, url: str, region: str) -> None:
        self._key_id = key_id
        self._own = Credential(secret)
        self._url = url
        self._signer = SigV4Auth(Credentials(key_id, secret), "sts", region)
        self._kept: dict[str, tuple[float, Credential]] = {}

    async def find(self, key_id: str) -> Credential:
        """The credential of a key id. Raises RequestRefusedError if the emulator does not know it,
        or does not respond.
        """
        if key_id == self._key_id:
            return self._own
        until, kept = self._kept.get(key_id, (0.0, None))
        if kept is not None and time.monotonic() < until:
            return kept
        credential = await asyncio.to_thread(self._ask, key_id)
        if len(self._kept) >= KEPT:
            self._kept.clear()
        self._kept[key_id] = time.monotonic() + KEPT_SECONDS, credential
        return credential

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """Send a request signed by the owner to the emulator; returns the response. Raises OSError,
        the base of urllib's errors.
        """
        url = self._url + path
        signed = AWSRequest("GET" if body is None else "POST", url, data=body)
        self._signer.add_auth(signed)
        question = Request(url, body, headers=dict(signed.headers))
        with _open(question, timeout=ANSWER_SECONDS) as answer:
            content: bytes = answer.read()
            return content

    def _ask(self, key_id: str) -> Credential:
        try:
            fields = json.loads(self.ask(PATH + quote(key_id, safe="")))
            return Credential(fields["secret"], fields["token"])
        except (OSError, ValueError, LookupError, TypeError):
            raise guard.unknown_key() from None
