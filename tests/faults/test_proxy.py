"""The accidents' own maker: what it does to a call, and that it does no more."""

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.faults.cloud.proxy import Proxy, Rule


class Store(BaseHTTPRequestHandler):
    """Takes every object and says so."""

    protocol_version = "HTTP/1.1"
    taken: list[bytes]

    def do_PUT(self) -> None:
        self.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Not into the test's output."""


@pytest.fixture
def store() -> Iterator[ThreadingHTTPServer]:
    handler = type("Taking", (Store,), {"taken": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def client(url: str) -> Any:
    """As the functions' own: waits for leave to send a file, tries a throttled call again."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            retries={"total_max_attempts": 3, "mode": "standard"}, max_pool_connections=1
        ),
    )


def test_a_throttled_upload_of_a_file_succeeds_when_it_is_tried_again(
    store: ThreadingHTTPServer,
) -> None:
    proxy = Proxy({"s3": f"http://127.0.0.1:{store.server_port}"}, [Rule("throttle", "s3", nth=1)])
    with proxy.serving():
        client(proxy.urls["s3"]).put_object(Bucket="b", Key="k", Body=io.BytesIO(b"file" * 1000))
    assert store.RequestHandlerClass.taken == [b"file" * 1000]  # type: ignore[attr-defined]
    assert proxy.counts == {"s3": 2, "throttle before": 1}
