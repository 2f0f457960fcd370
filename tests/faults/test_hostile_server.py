"""The container's server against callers who mean it ill."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from domain.model import ModelId
from serving.app import BODY_SECONDS, IDLE_SECONDS
from tests.contract.conftest import random_model
from tests.flow.support.drive import eventually
from tests.support.builders import expensive, images
from tests.support.worlds.serving_process import Serving, serving

__all__ = ["random_model"]

HALF_OPEN = 200
AT_ONCE = 16
GROWTH_MB = 600
HOSTILE = 20
NEIGHBOUR_SECONDS = 1.0
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def server(
    random_model: tuple[Path, ModelId], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    with serving(*random_model, tmp_path_factory.mktemp("hostile") / "log") as running:
        yield running


def tree_mb(server: Serving) -> int:
    """Of the server and its decoders; what processes share is counted once."""
    parent, total = psutil.Process(server.process.pid), 0
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total // MEGABYTE


@contextmanager
def peak_mb(server: Serving) -> Iterator[list[int]]:
    """The last of them, once it is over, is the most that was held over what was held before."""
    before, over, seen = tree_mb(server), threading.Event(), [0]

    def watch() -> None:
        while not over.wait(0.02):
            seen.append(max(seen[-1], tree_mb(server) - before))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


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
@pytest.mark.parametrize(("callers", "statuses"), [(HALF_OPEN // 10, {400}), (HALF_OPEN, {429})])
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
    with peak_mb(server) as peaks, ThreadPoolExecutor(AT_ONCE) as callers:
        statuses = list(callers.map(lambda body: server.post(body).status_code, bodies))
    assert max(statuses) < 500
    assert peaks[-1] < GROWTH_MB


EXPENSIVE: dict[str, Callable[[], bytes]] = {
    "a JPEG of 7,000 scans": lambda: expensive.many_scans(4000, 4000, 7_000),
    "a JPEG of 25, which is within the bounds": lambda: expensive.many_scans(4000, 4000, 25),
    "a PNG of 49 megapixels": lambda: expensive.flat_png(7000, 7000),
    "one of 16 bits": lambda: expensive.flat_png(7000, 7000, 16),
    "a HEIC that repeats its tile": lambda: expensive.heic_grid(512, 13, 13),
    "arrays": lambda: expensive.small_arrays(32),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPENSIVE)
def test_small_photos_are_answered_beside_twenty_that_are_expensive(
    name: str, server: Serving
) -> None:
    """The promise is 1 s on a machine of our own; the machine of a test may be busy already."""
    body, kind = EXPENSIVE[name](), "application/x-npy" if name == "arrays" else "image/x"
    small = [images.encoded(images.plain(images.RED), form) for form in ("JPEG", "PNG")]
    alone = max(seconds_to_answer(server, each) for each in small * 3)
    waited = []
    with ThreadPoolExecutor(HOSTILE) as callers:
        held = [callers.submit(server.post, body, Content_Type=kind) for _ in range(HOSTILE)]
        for _ in range(4):
            waited += [seconds_to_answer(server, each) for each in small]
        statuses = {answer.result().status_code for answer in held}
    print(f"{name}: {max(waited):.2f} s beside {HOSTILE}, {alone:.2f} s alone; {statuses}")
    assert statuses <= {200, 400, 429, 503}
    assert sorted(waited)[len(waited) // 2] < NEIGHBOUR_SECONDS + 4 * alone


def seconds_to_answer(server: Serving, body: bytes) -> float:
    began = time.monotonic()
    assert server.post(body).status_code == 200
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPENSIVE)
def test_no_file_takes_more_memory_than_is_promised(name: str, server: Serving) -> None:
    body = EXPENSIVE[name]()
    server.post(images.encoded(images.plain(images.RED)))  # its decoder is there, and idle
    with peak_mb(server) as peaks:
        assert server.post(body).status_code < 500
    print(f"{name}: {peaks[-1]} MB")
    assert peaks[-1] <= GROWTH_MB


@pytest.mark.slow
def test_nothing_is_decoded_for_callers_who_have_gone(server: Serving) -> None:
    body = expensive.flat_png(7000, 7000, 16)
    with ExitStack() as callers:
        for _ in range(HOSTILE):
            caller = callers.enter_context(start_of_a_post(server, len(body)))
            caller.sendall(body)
        time.sleep(0.5)
    time.sleep(1)  # to notice it, and to end two processes
    family = psutil.Process(server.process.pid).children(recursive=True)
    before = sum(sum(process.cpu_times()[:2]) for process in family)
    time.sleep(2)
    used = sum(sum(process.cpu_times()[:2]) for process in family if process.is_running())
    assert used - before < 0.2
    assert server.post(images.encoded(images.plain(images.RED))).status_code == 200


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
        assert server.post(b"no image").status_code == 429
        eventually(lambda: server.post(b"no image").status_code == 400 or None, "a free place", 50)
        seconds = time.monotonic() - began
        assert server.post(b"no image").status_code == 400
    print(f"{HALF_OPEN} silent callers kept others out for {seconds:.0f} s")
    assert seconds < IDLE_SECONDS + 10


@pytest.mark.faults
def test_who_drips_a_body_is_cut_off(server: Serving) -> None:
    began = time.monotonic()
    with start_of_a_post(server, 1_000_000) as caller:
        caller.settimeout(1)
        answer = b""
        while not answer and time.monotonic() - began < BODY_SECONDS + 30:
            try:
                caller.sendall(b"x")
                answer = caller.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                break
    assert BODY_SECONDS - 5 < time.monotonic() - began < BODY_SECONDS + 30
    assert httpx.get(f"{server.url}/ping", timeout=5).status_code == 200
