"""The container's server against callers who mean it ill."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from domain.model import ModelId
from serving.app import READ_SECONDS, SILENCE_SECONDS
from tests import images
from tests.contract.conftest import random_model
from tests.flow.drive import eventually
from tests.serving_process import Serving, serving

__all__ = ["random_model"]

HALF_OPEN = 200
AT_ONCE = 16
GROWTH_MB = 600
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def server(
    random_model: tuple[Path, ModelId], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    with serving(*random_model, tmp_path_factory.mktemp("hostile") / "log") as running:
        yield running


def start_of_a_post(server: Serving, length: int) -> socket.socket:
    caller = socket.create_connection(server.address, timeout=10)
    caller.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
    return caller


@pytest.mark.slow
def test_a_body_that_is_announced_too_large_is_refused_before_it_is_read(server: Serving) -> None:
    with start_of_a_post(server, 10**12) as caller:
        answer = caller.recv(65_536)
    assert b" 413 " in answer.split(b"\r\n")[0]


@pytest.mark.slow
@pytest.mark.parametrize(("callers", "statuses"), [(HALF_OPEN // 10, {400}), (HALF_OPEN, {503})])
def test_callers_who_stop_in_the_middle_are_bounded(
    server: Serving, callers: int, statuses: set[int]
) -> None:
    """Below the bound on requests they hold up nobody; at it, the next is told so at once."""
    with ExitStack() as half_open:
        for _ in range(callers):
            half_open.enter_context(start_of_a_post(server, 1_000_000))
        assert httpx.get(f"{server.url}/ping", timeout=5).status_code == 200
        assert {server.post(b"no image").status_code} == statuses
    assert eventually(lambda: server.post(b"no image").status_code == 400 or None, "a free place")


@pytest.mark.slow
def test_bombs_at_once_do_not_add_up(server: Serving) -> None:
    """Each announces millions of pixels; what one takes, sixteen may not take sixteen-fold."""
    bodies = [body for body, _ in images.hostile().values()] * 4
    process, over = psutil.Process(server.process.pid), threading.Event()
    before = process.memory_info().rss
    peaks = [before]

    def watch() -> None:
        while not over.wait(0.02):
            peaks.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(AT_ONCE) as callers:
        statuses = list(callers.map(lambda body: server.post(body).status_code, bodies))
    over.set()
    watcher.join()
    assert max(statuses) < 500
    assert (max(peaks) - before) // MEGABYTE < GROWTH_MB


@pytest.mark.slow
def test_callers_who_stop_in_the_middle_of_their_headers_hold_up_nobody(server: Serving) -> None:
    with ExitStack() as half_open:
        for _ in range(HALF_OPEN):
            caller = half_open.enter_context(socket.create_connection(server.address, timeout=10))
            caller.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Le")
        assert server.post(b"no image").status_code == 400


@pytest.mark.faults
def test_callers_who_fall_silent_give_up_their_places_in_seconds(server: Serving) -> None:
    began = time.monotonic()
    with ExitStack() as half_open:
        for _ in range(HALF_OPEN):
            half_open.enter_context(start_of_a_post(server, 1_000_000))
        assert server.post(b"no image").status_code == 503
        eventually(lambda: server.post(b"no image").status_code == 400 or None, "a free place", 50)
        seconds = time.monotonic() - began
        assert server.post(b"no image").status_code == 400
    print(f"{HALF_OPEN} silent callers kept others out for {seconds:.0f} s")
    assert seconds < SILENCE_SECONDS + 10


@pytest.mark.faults
def test_who_drips_a_body_is_cut_off(server: Serving) -> None:
    began = time.monotonic()
    with start_of_a_post(server, 1_000_000) as caller:
        caller.settimeout(1)
        answer = b""
        while not answer and time.monotonic() - began < READ_SECONDS + 30:
            try:
                caller.sendall(b"x")
                answer = caller.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                break
    assert READ_SECONDS - 5 < time.monotonic() - began < READ_SECONDS + 30
    assert httpx.get(f"{server.url}/ping", timeout=5).status_code == 200
