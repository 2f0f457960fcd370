"""An EventBridge that only listens."""

import json
import queue
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.contract.local_sagemaker.support.patience import PATIENCE


class EventBridge(ThreadingHTTPServer):
    """Takes PutEvents, and hands the entries to whoever waits for them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PutEvents)
        self._entries: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.seen: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, entry: dict[str, Any]) -> None:
        self._entries.put({**entry, "Detail": json.loads(entry["Detail"])})

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def until(
        self, job: str, statuses: Iterable[str], kind: str = "TransformJob"
    ) -> dict[str, Any]:
        """The entry that says that `job` reached one of `statuses`."""
        while True:
            for entry in self.seen:
                detail = entry["Detail"]
                if detail.get(f"{kind}Name") == job and detail[f"{kind}Status"] in statuses:
                    return entry
            self.seen.append(self._entries.get(timeout=PATIENCE))


class _PutEvents(BaseHTTPRequestHandler):
    server: EventBridge

    def do_POST(self) -> None:
        entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Entries"]
        for entry in entries:
            self.server.take(entry)
        answer = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in entries]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""
