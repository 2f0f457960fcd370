"""Containers of the image, asked from this machine's Python in their network."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from domain.archive import CARD
from domain.model import ModelCard
from infra.local.image_here import RunningContainer, Workshop

NOTHING: Mapping[Path, str] = {}
READY_SECONDS = 120
ASK = """
import http.client, sys
method, path, *headers = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
connection.request(method, path, sys.stdin.buffer.read(), dict(h.split("=", 1) for h in headers))
answer = connection.getresponse()
print(answer.status)
sys.stdout.buffer.write(answer.read())
"""
"""Runs on this machine's Python in the container's network: the image has nothing to ask with."""


@contextmanager
def serving(
    workshop: Workshop,
    tag: str,
    model: Path,
    more: Mapping[Path, str] = NOTHING,
    **environment: str,
) -> Iterator[RunningContainer]:
    """The image `tag` serving `model`, a folder as SageMaker unpacks it."""
    card = ModelCard.from_json((model / CARD).read_text())
    named = {"SORTBOX_MODEL_ID": f"imagenet:1:{card.digest}", "SORTBOX_CONTAINER": "sha256:here"}
    volumes = {model: "/opt/ml/model:ro", **more}
    with workshop.running(tag, "serve", volumes, named | environment) as container:
        yield container


def ask(
    container: RunningContainer, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes]:
    words = [f"{name.replace('_', '-')}={value}" for name, value in headers.items()]
    done = container.inside(sys.executable, "-c", ASK, method, path, *words, body=body)
    assert done.returncode == 0, done.stderr.decode()
    status, _, content = done.stdout.partition(b"\n")
    return int(status), content


def await_ready(container: RunningContainer) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        done = container.inside(sys.executable, "-c", ASK, "GET", "/ping")
        if done.stdout.startswith(b"200"):
            return
        time.sleep(0.25)
    pytest.fail(container.log())
