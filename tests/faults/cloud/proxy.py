"""Between the functions and every service: each call may be throttled, delayed, cut or deadly.

Set as the services' endpoint URLs in the functions' environment, so that nothing in them knows of
it. Before the call is made an effect is trouble; after it, it is worse: the thing was done, and who
asked does not know.
"""

import asyncio
import hashlib
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import psutil
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

from infra.local.access import sigv4
from infra.local.access.keys import Keys

Service = Literal["s3", "sqs", "sagemaker-runtime"]
Effect = Literal["throttle", "error", "delay", "reset", "truncate", "kill"]

SERVICES: tuple[Service, ...] = ("s3", "sqs", "sagemaker-runtime")
HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "expect"})
DELAY_SECONDS = 1.0
LOGGED = 10_000
"""Beyond so many lines the log only counts."""

THROTTLED = {
    "s3": (503, "application/xml", "<Error><Code>SlowDown</Code><Message>slow</Message></Error>"),
    "sqs": (503, "application/json", '{"__type": "ThrottlingException", "message": "slow"}'),
    "sagemaker-runtime": (429, "application/json", '{"__type": "ThrottlingException"}'),
}


@dataclass
class Rule:
    """Of the rules whose pattern is in `METHOD path` (for SQS: the operation), the first strikes.

    `nth` (from 1) of the matching calls, or each with `chance`; at most `most` times.
    """

    effect: Effect
    service: Service
    pattern: str = ""
    chance: float = 0.0
    nth: int = 0
    after: bool = False
    most: int = 1_000_000
    seen: int = 0

    def strikes(self, service: str, call: str, random: Random) -> bool:
        if service != self.service or not re.search(self.pattern, call):
            return False
        self.seen += 1
        struck = self.seen == self.nth or random.random() < self.chance
        self.most -= struck
        return struck and self.most >= 0


def nothing(service: Service, call: str) -> Rule | None:
    """Nobody comes in between."""
    return None


@dataclass
class Proxy:
    """`upstream` and `urls` by service; `log` says what was done to which call."""

    upstream: dict[Service, str]
    rules: list[Rule]
    seed: int = 1
    interrupt: Callable[[Service, str], Rule | None] = nothing
    """Asked, in a thread, before each call that no rule has struck."""
    keys: Keys | None = None
    """Where the services answer at their own address only: calls are signed again, by their key."""
    urls: dict[Service, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def serving(self) -> Iterator["Proxy"]:
        thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(30)
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    async def _open(self) -> None:
        connector = TCPConnector(limit=256)
        timeout = ClientTimeout(total=120)
        self._session = ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, skip_auto_headers=["*"]
        )
        self._runners: list[web.ServerRunner] = []
        for service in self.upstream:
            runner = web.ServerRunner(web.Server(self._handler(service)))
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.urls[service] = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._runners.append(runner)

    async def _close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        await self._session.close()

    def _handler(self, service: Service):  # type: ignore[no-untyped-def]
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            target = request.headers.get("X-Amz-Target", "")
            call = target or f"{request.method} {request.path_qs}"
            self.counts[service] += 1
            await _take_body(request)
            rule = next((r for r in self.rules if r.strikes(service, call, self._random)), None)
            if rule is None and self.interrupt is not nothing:
                rule = await asyncio.to_thread(self.interrupt, service, call)
            if rule is not None:
                self._note(rule, call)
            if rule is not None and not rule.after:
                return await self._before(rule, service, request)
            answer = await self._pass_on(service, request)
            return answer if rule is None else await self._after(rule, service, request, answer)

        return handle

    async def _before(
        self, rule: Rule, service: Service, request: web.BaseRequest
    ) -> web.StreamResponse:
        if rule.effect == "delay":
            await asyncio.sleep(DELAY_SECONDS)
            return await self._pass_on(service, request)
        return await self._trouble(rule, service, request)

    async def _after(
        self, rule: Rule, service: Service, request: web.BaseRequest, answer: web.Response
    ) -> web.StreamResponse:
        if rule.effect == "delay":
            await asyncio.sleep(DELAY_SECONDS)
            return answer
        if rule.effect == "truncate":
            return await self._cut(request, answer)
        return await self._trouble(rule, service, request)

    async def _trouble(
        self, rule: Rule, service: Service, request: web.BaseRequest
    ) -> web.StreamResponse:
        if rule.effect == "throttle":
            status, kind, text = THROTTLED[service]
            return web.Response(status=status, text=text, content_type=kind)
        if rule.effect == "error":
            return web.Response(status=500, text="", content_type="application/xml")
        if rule.effect == "kill":
            kill_peer(request)
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=500)

    async def _cut(self, request: web.BaseRequest, answer: web.Response) -> web.StreamResponse:
        """The head and half of the body, then nothing more."""
        body = answer.body if isinstance(answer.body, bytes) else b""
        cut = web.StreamResponse(status=answer.status, headers=answer.headers)
        cut.content_length = len(body)
        await cut.prepare(request)
        await cut.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.abort()
        return cut

    async def _pass_on(self, service: Service, request: web.BaseRequest) -> web.Response:
        """With the Host header as it is signed."""
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP]
        if self.keys is not None:
            host = self.upstream[service].removeprefix("http://")
            headers = await _sign_again(request, headers, host, self.keys)
        url = self.upstream[service] + request.raw_path
        async with self._session.request(
            request.method, _as_it_is(url), headers=headers, data=await request.read()
        ) as answer:
            kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in HOP]
            body = await answer.read()
            reply = web.Response(status=answer.status, body=body)
            reply.headers.clear()
            for name, value in kept:
                reply.headers.add(name, value)
            if request.method == "HEAD":
                reply.headers["Content-Length"] = answer.headers.get("Content-Length", "0")
            return reply

    def _note(self, rule: Rule, call: str) -> None:
        when = "after" if rule.after else "before"
        self.counts[f"{rule.effect} {when}"] += 1
        if len(self.log) < LOGGED:
            self.log.append(f"{rule.effect} {when} {rule.service} {call}")


async def _take_body(request: web.BaseRequest) -> None:
    """Whole, whatever is answered: what is left of it would be read as the next request.

    As S3 does, it says that it waits for a body that is sent only to those who do.
    """
    if request.headers.get("Expect", "").lower() == "100-continue":
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    await request.read()


async def _sign_again(
    request: web.BaseRequest, headers: list[tuple[str, str]], host: str, keys: Keys
) -> list[tuple[str, str]]:
    at_host = [(k, host if k.lower() == "host" else v) for k, v in headers]
    path, _, query = request.raw_path.encode().partition(b"?")
    encoded = [(k.lower().encode(), v.encode()) for k, v in at_host]
    signed_request = sigv4.HttpRequest(request.method, path, query, encoded)
    signature = sigv4.read(signed_request)
    secret = (await keys.find(signature.key_id)).secret
    body = hashlib.sha256(await request.read()).hexdigest()
    payload = sigv4.payload_hash(signed_request, signature) or body
    now = sigv4.expected(signed_request, signature, secret, payload)
    return [(k, v.replace(signature.value, now)) for k, v in at_host]


def _as_it_is(url: str) -> URL:
    """Encoded already, and signed so."""
    return URL(url, encoded=True)


def kill_peer(request: web.BaseRequest) -> None:
    """The process that made this call dies at once, as of a power cut."""
    assert request.transport is not None
    peer = request.transport.get_extra_info("peername")[1]
    here = request.transport.get_extra_info("sockname")[1]
    for each in psutil.net_connections("tcp4"):
        ports = (each.laddr.port if each.laddr else 0, each.raddr.port if each.raddr else 0)
        if ports == (peer, here) and each.pid is not None:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(each.pid).send_signal(signal.SIGKILL)
            return
