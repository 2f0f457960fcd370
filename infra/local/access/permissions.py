"""What the emulator's IAM says of a principal, for the local SageMaker; and a role's credentials.

The emulator answers the holder of the cloud's own key, and nobody else. Where it holds nobody to a
role there is nothing to ask: the local SageMaker then does everything as the owner.
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
    """May `who`, an access key's id or a role's ARN, do this?"""

    who: str
    action: str
    resource: str
    context: Mapping[str, str]
    """By condition key, in lower case."""


@dataclass(frozen=True, slots=True)
class Answer:
    is_allowed: bool
    principal: str
    """The ARN that AWS's refusals name."""


@dataclass(frozen=True, slots=True)
class RoleKey:
    """Temporary credentials of a role."""

    key_id: str
    secret: str
    token: str


class NotAssumable(Exception):
    """There is no such role, or it does not trust the service."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The emulator's side: its IAM, and credentials that it takes for a role's."""

    decide: Callable[[Question], Answer]
    assume: Callable[[str, str], RoleKey]
    """A role's ARN and a service's principal. Raises NotAssumable."""

    def serve(self, owner: str, app: App) -> App:
        """`app`, and below PATH these answers, for requests that access key `owner` signed."""

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
    """The local SageMaker's side."""

    def __init__(self, ask: Callable[[str, bytes], bytes]) -> None:
        """`ask`: the owner's signed requests to the emulator, as `Keys.ask`."""
        self._ask = ask

    def decide(self, question: Question) -> Answer:
        return Answer(**self._answer("may", asdict(question)))

    def assume(self, role: str, service: str) -> RoleKey:
        """Raises NotAssumable."""
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
