"""The real server as a process of its own, on a free port of 127.0.0.1."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from domain.model import ModelId

ROOT = Path(__file__).parents[3]
READY_SECONDS = 120
"""A cold `import torch` on a busy machine takes half a minute."""


@dataclass(frozen=True)
class Serving:
    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def post(self, body: bytes, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"{self.url}/invocations", content=body, headers=sent, timeout=60)


@contextmanager
def serving(folder: Path, model: ModelId, log: Path, **environment: str) -> Iterator[Serving]:
    """Yields once /ping answers 200; ends the process, whatever happens."""
    port = free_port()
    process = spawn(
        log,
        SM_MODEL_DIR=str(folder),
        SORTBOX_MODEL_ID=str(model),
        SAGEMAKER_BIND_TO_PORT=str(port),
        **environment,
    )
    try:
        running = Serving(f"http://127.0.0.1:{port}", process, log)
        await_ready(running)
        yield running
    finally:
        process.kill()
        process.wait()


def spawn(log: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """Inherits only what Python itself needs: a stray variable must not decide a test."""
    inherited = {
        name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ
    }
    local = {"SORTBOX_BIND_HOST": "127.0.0.1", "SORTBOX_CONTAINER": "sha256:test"}
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "serving"],
            cwd=ROOT,
            env=inherited | local | environment,
            stdout=stream,
            stderr=stream,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_ready(running: Serving) -> None:
    """As SageMaker does: the contract's only sign of readiness is that /ping answers."""
    deadline = time.monotonic() + READY_SECONDS
    while running.process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{running.url}/ping", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the server never became ready: {running.log.read_text()}")
