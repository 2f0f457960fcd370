"""Natural batching: block for one call, take what is already waiting, never wait for a crowd.

While batches are being answered the next ones gather by themselves, so batches grow with the load
and a lone call waits for nobody. A worker leaves each idle neighbour its share of what waits. What
it costs: a thread a core, and no way to prefer one call to another.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Condition, Lock, Thread
from time import monotonic
from typing import Generic, TypeVar

from domain.errors import SortboxError

Call = TypeVar("Call")
Answer = TypeVar("Answer")

Batch = list[tuple[Call, "Future[Answer]"]]


class QueueFullError(SortboxError):
    """As many calls are waiting as may."""


class Progress:
    """Of calls that wait or are worked on. One whose worker hangs counts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way = 0
        self._last = monotonic()
        """When one was last done with, or when the first came while none was under way."""

    def begin(self) -> None:
        with self._lock:
            if not self._under_way:
                self._last = monotonic()
            self._under_way += 1

    def end(self, calls: int = 1, cancelled: bool = False) -> None:
        """A call that was `cancelled` while it waited says nothing about the workers."""
        with self._lock:
            self._under_way -= calls
            if not cancelled:
                self._last = monotonic()

    def is_stalled(self, seconds: float) -> bool:
        with self._lock:
            return bool(self._under_way) and monotonic() - self._last > seconds


class Batcher(Generic[Call, Answer]):
    def __init__(
        self,
        process: Callable[[Sequence[Call], bool], Sequence[Answer]],
        workers: int,
        max_batch: int,
        max_waiting: int,
    ) -> None:
        """`answer(calls, alone)`, called by `workers` threads at once; alone: by no other now."""
        self._process = process
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[Call, Future[Answer]]] = deque()
        self._condition = Condition()
        self._busy = 0
        self._progress = Progress()
        self._open = True
        self._threads = [
            Thread(target=self._run_worker, name=f"worker-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def is_stalled(self, seconds: float) -> bool:
        """Whether there is work, and no worker has finished anything for so long."""
        return self._progress.is_stalled(seconds)

    def submit(self, call: Call) -> "Future[Answer]":
        """Raises QueueFullError at once where `max_waiting` calls are waiting."""
        future: Future[Answer] = Future()
        with self._condition:
            if len(self._waiting) >= self._max_waiting:
                raise QueueFullError
            self._progress.begin()
            self._waiting.append((call, future))
            self._condition.notify()
        return future

    def close(self) -> None:
        """Answers what is waiting, then returns. No call may be submitted any more."""
        with self._condition:
            self._open = False
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _run_worker(self) -> None:
        while batch := self._next_batch():
            self._run_batch(*batch)

    def _next_batch(self) -> "tuple[Batch[Call, Answer], bool] | None":
        """What this worker is to answer, and whether alone; None when all is answered."""
        with self._condition:
            while not self._waiting and self._open:
                self._condition.wait()
            if not self._waiting:
                return None
            idle = len(self._threads) - self._busy
            share = -(-len(self._waiting) // idle)
            batch = [self._waiting.popleft() for _ in range(min(share, self._max_batch))]
            exclusive = len(batch) == 1 and not self._waiting and self._busy == 0
            self._busy += 1
            return batch, exclusive

    def _run_batch(self, batch: "Batch[Call, Answer]", exclusive: bool) -> None:
        live = [pair for pair in batch if pair[1].set_running_or_notify_cancel()]
        calls, futures = [call for call, _ in live], [future for _, future in live]
        try:
            answers = self._process(calls, exclusive) if live else ()
            pairs = list(zip(futures, answers, strict=True))
        except Exception as error:  # a door: whatever it is, it belongs to the callers
            self._finish_batch(len(batch))
            for future in futures:
                future.set_exception(error)
            return
        self._finish_batch(len(batch))
        for future, answer in pairs:
            future.set_result(answer)

    def _finish_batch(self, calls: int) -> None:
        """Before the answers go out: who asks again at once must not find this worker busy."""
        with self._condition:
            self._busy -= 1
            self._progress.end(calls)
