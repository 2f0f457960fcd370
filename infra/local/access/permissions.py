"""Ask the emulator's IAM, on behalf of the local SageMaker, for decisions and for a role's
credentials.

The emulator responds only to requests signed with the key of the cloud's owner. If roles are not
enforced, it is not asked: the local SageMaker then does everything as the owner.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError

from infra.local.access import guard
from infra.local.access.guard import App, Receive, Scope, Send

PATH = "/_sortbox/permissions/"
QUESTION_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Question:
    """Whether `who`, an access key id or a role's ARN, may perform the action."""

    who: str
    action: str
    resource: str
    context: Mapping[str, str]
    """Values by condition key, in lower case."""


@dataclass(frozen=True, slots=True)
class Answer:
    is_allowed: bool
    principal: str
    """The ARN for AWS's access denied message."""


@dataclass(frozen=True, slots=True)
class RoleKey:
    """Temporary credentials of a role."""

    key_id: str
    secret: str
    token: str


class NotAssumable(Exception):
    """The role does not exist, or does not trust the service."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The emulator's side: decisions by its IAM, and credentials that it accepts for a role."""

    decide: Callable[[Question], Answer]
    assume: Callable[[str, str], RoleKey]
    """Takes a role's ARN and a service's principal. Raises NotAssumable."""

    def serve(self, owner: str, app: App) -> App:
        """`app`, with PATH added for these questions, if access key `owner` signed the request."""

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not scope["path"].startswith(PATH):
                await app(scope, receive, send)
                return
            status, reply = HTTPStatus.FORBIDDEN, dict[str, Any]()
            if scope[guard.SIGNER] == owner:
                question = json.loads(await _body(receive))
                status, reply = self._answer(scope["path"].removeprefix(PATH), question)
            body = json.dumps(reply).encode()
            length = (b"content-length", str(len(body)).encode())
            await send({"type": "http.response.start", "status": status, "headers": [length]})
            await send({"type": "http.response.body", "body": body})

        return application

    def _answer(self, name: str, question: Mapping[str, Any]) -> tuple[HTTPStatus, dict[str, Any]]:
        if name == "may":
            return HTTPStatus.OK, asdict(self.decide(Question(**question)))
        try:
            return HTTPStatus.OK, asdict(self.assume(question["role"], question["service"]))
        except NotAssumable:
            return HTTPStatus.NOT_FOUND, {}


class Permissions:
    """The local SageMaker's side, which queries the emulator."""

    def __init__(self, ask: Callable[[str, bytes], bytes]) -> None:
        """`ask` sends the owner's signed requests to the emulator, as `Keys.ask`."""
        self._ask = ask

    def decide(self, question: Question) -> Answer:
        return Answer(**self._answer("may", asdict(question)))

    def assume(self, role: str, service: str) -> RoleKey:
        """Temporary credentials of the role, assumed by `service`. Raises NotAssumable."""
        try:
            return RoleKey(**self._answer("assume", {"role": role, "service": service}))
        except HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            raise NotAssumable(role) from error

    def _answer(self, name: str, question: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._ask(PATH + name, json.dumps(question).encode()))
        return answer


async def _body(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more and len(body) < QUESTION_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)
