"""python -m tests.stand_in: serves until SIGTERM, then lets what is under way finish."""

import os
import signal
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from domain.reply import Refused, to_json
from tests.stand_in.answers import answer
from tests.stand_in.live import Knobs
from tests.stand_in.settings import Settings

THUMBNAIL = b"\xff\xd8\xff a picture, as far as anyone looks"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class Counter:
    """How many invocations there were, and how many at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now = 0
        self.most = 0
        self.all = 0

    def __enter__(self) -> int:
        with self._changed:
            self._now += 1
            self.all += 1
            self.most = max(self.most, self._now)
            return self.all

    def __exit__(self, *raised: object) -> None:
        with self._changed:
            self._now -= 1
            self._changed.notify_all()

    def wait_until_idle(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._now == 0)


class StandIn(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, settings: Settings) -> None:
        super().__init__((settings.host, settings.port), Handler)
        self.settings = settings
        self.counter = Counter()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StandIn

    def do_GET(self) -> None:
        settings = self.server.settings
        match self.path:
            case "/ping" if settings.unready:
                self._reply(HTTPStatus.SERVICE_UNAVAILABLE, "")
            case "/ping":
                self._reply(HTTPStatus.OK, "")
            case "/execution-parameters" if settings.parameters:
                self._reply(HTTPStatus.OK, settings.parameters)
            case _:
                self._reply(HTTPStatus.NOT_FOUND, "")

    def do_POST(self) -> None:
        image = self.rfile.read(int(self.headers["Content-Length"]))
        live = self.server.settings.live
        with self.server.counter as number:
            if live is not None and self.headers["Accept"] != "image/jpeg":
                live.note(image)
            knobs = live.knobs() if live is not None else Knobs()
            time.sleep((self.server.settings.delay_ms + knobs.delay_ms) / 1000)
            if knobs.status is not None:
                self._reply(knobs.status, "told to answer this for now")
            elif self.headers["Accept"] == "image/jpeg":
                self._send(HTTPStatus.OK, "image/jpeg", THUMBNAIL)
            else:
                self._reply(*self._classify(image, number))

    def _classify(self, image: bytes, number: int) -> tuple[int, str]:
        settings = self.server.settings
        if settings.die_after is not None and number > settings.die_after:
            os._exit(1)
        if settings.status is not None:
            return settings.status, "told to answer this"
        if settings.fail_after is not None and number > settings.fail_after:
            return HTTPStatus.INTERNAL_SERVER_ERROR, f"told to fail after {settings.fail_after}"
        reply = answer(settings.server, image)
        refused = isinstance(reply, Refused) and not settings.is_batch
        return HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK, to_json(reply)

    def _reply(self, status: int, body: str) -> None:
        self._send(status, "application/json", body.encode())

    def _send(self, status: int, kind: str, encoded: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(encoded)))
        if ATTRIBUTES in self.headers:
            self.send_header(ATTRIBUTES, self.headers[ATTRIBUTES])
        self.end_headers()
        self.wfile.write(encoded)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing a request: the last line counts them."""


def main() -> None:
    settings = Settings.from_env(os.environ)
    if settings.exit is not None:
        print(f"told to exit with {settings.exit}", flush=True)
        sys.exit(settings.exit)
    server = StandIn(settings)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"serving: {settings}", flush=True)
    signal.sigwait({signal.SIGTERM})
    server.counter.wait_until_idle()
    print(f"answered {server.counter.all}, at most {server.counter.most} at once", flush=True)
    os._exit(0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main()
