import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from serving.batcher import Batcher, QueueFullError


class Network:
    """Doubles numbers, once it is let; remembers the batches it was asked for."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []
        self.alone: list[bool] = []
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Event()

    def __call__(self, calls: Sequence[int], alone: bool) -> list[int]:
        self.batches.append(tuple(calls))
        self.alone.append(alone)
        self.entered.release()
        assert self.allowed.wait(10)
        if 13 in calls:
            raise ArithmeticError("thirteen")
        return [2 * call for call in calls if call != 99]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def batcher(network: Network) -> Iterator[Batcher[int, int]]:
    batcher = Batcher(network, workers=1, max_batch=4, max_waiting=6)
    yield batcher
    network.allowed.set()
    batcher.close()


def crowd(network: Network, batcher: Batcher[int, int], calls: range) -> list[Future[int]]:
    """The first call is being answered while all the others arrive."""
    futures = [batcher.submit(calls[0])]
    assert network.entered.acquire(timeout=10)
    return futures + [batcher.submit(call) for call in calls[1:]]


def test_a_lone_call_waits_for_nobody(network: Network, batcher: Batcher[int, int]) -> None:
    network.allowed.set()
    assert batcher.submit(21).result(10) == 42
    assert network.batches == [(21,)]


def test_what_waits_meanwhile_becomes_the_next_batch(
    network: Network, batcher: Batcher[int, int]
) -> None:
    futures = crowd(network, batcher, range(1, 8))
    network.allowed.set()
    assert [future.result(10) for future in futures] == [2, 4, 6, 8, 10, 12, 14]
    assert network.batches == [(1,), (2, 3, 4, 5), (6, 7)]


def test_the_queue_is_bounded(network: Network, batcher: Batcher[int, int]) -> None:
    futures = crowd(network, batcher, range(1, 8))
    with pytest.raises(QueueFullError):
        batcher.submit(8)
    network.allowed.set()
    assert [future.result(10) for future in futures][-1] == 14


def test_an_error_goes_to_its_callers_and_to_no_others(
    network: Network, batcher: Batcher[int, int]
) -> None:
    futures = crowd(network, batcher, range(11, 18))
    network.allowed.set()
    failed = [isinstance(future.exception(10), ArithmeticError) for future in futures]
    assert network.batches == [(11,), (12, 13, 14, 15), (16, 17)]
    assert failed == [False, True, True, True, True, False, False]
    assert batcher.is_alive


def test_too_few_answers_are_an_error_and_never_shifted(
    network: Network, batcher: Batcher[int, int]
) -> None:
    futures = crowd(network, batcher, range(97, 101))
    network.allowed.set()
    assert futures[0].result(10) == 194
    assert all(isinstance(future.exception(10), ValueError) for future in futures[1:])


def test_a_caller_who_left_is_not_asked_for(network: Network, batcher: Batcher[int, int]) -> None:
    futures = crowd(network, batcher, range(1, 4))
    assert futures[1].cancel()
    network.allowed.set()
    assert futures[2].result(10) == 6
    assert network.batches == [(1,), (3,)]


def test_closing_answers_what_is_waiting(network: Network, batcher: Batcher[int, int]) -> None:
    futures = crowd(network, batcher, range(1, 6))
    network.allowed.set()
    batcher.close()
    assert all(future.done() for future in futures)
    assert not batcher.is_alive


@pytest.fixture
def pair(network: Network) -> Iterator[Batcher[int, int]]:
    batcher = Batcher(network, workers=2, max_batch=4, max_waiting=20)
    yield batcher
    network.allowed.set()
    batcher.close()


def test_a_call_is_told_whether_it_is_alone(network: Network, pair: Batcher[int, int]) -> None:
    futures = crowd(network, pair, range(1, 3))
    assert network.entered.acquire(timeout=10)
    network.allowed.set()
    assert [future.result(10) for future in futures] == [2, 4]
    assert network.alone == [True, False]


def test_two_workers_answer_at_once_and_share_what_waits(
    network: Network, pair: Batcher[int, int]
) -> None:
    futures = crowd(network, pair, range(1, 3))
    assert network.entered.acquire(timeout=10)
    futures += [pair.submit(call) for call in range(3, 9)]
    network.allowed.set()
    assert [future.result(10) for future in futures] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert network.batches[:2] == [(1,), (2,)]
    assert all(len(batch) <= 4 for batch in network.batches)


def test_work_that_no_worker_finishes_is_a_stall_until_one_does(
    network: Network, batcher: Batcher[int, int]
) -> None:
    assert not batcher.is_stalled(0)
    futures = crowd(network, batcher, range(1, 3))
    assert not batcher.is_stalled(30)
    time.sleep(0.05)
    assert batcher.is_stalled(0.04)
    network.allowed.set()
    assert [future.result(10) for future in futures] == [2, 4]
    assert not batcher.is_stalled(0)


def test_an_idle_hour_before_the_first_call_is_no_stall(
    network: Network, batcher: Batcher[int, int]
) -> None:
    time.sleep(0.3)
    crowd(network, batcher, range(1, 2))
    assert not batcher.is_stalled(0.25)
