"""Natural batching: a worker takes the calls that are waiting, and never waits for more.

Calls gather while the workers are busy, so that batches grow with the load and a single call is not
delayed. A worker leaves the other idle workers their share of the waiting calls. It costs one
thread per core, and there are no priorities.
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
    """The queue is full; try again later."""


class Progress:
    """Detects a stall: calls are pending, and none has been completed for some time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way = 0
        self._last = monotonic()
        """When a call was last completed, or when the first one arrived after an idle time."""

    def begin(self) -> None:
        with self._lock:
            if not self._under_way:
                self._last = monotonic()
            self._under_way += 1

    def end(self, calls: int = 1, cancelled: bool = False) -> None:
        """A call that was `cancelled` while waiting is no sign of progress."""
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
        """Start `workers` threads that call `process(calls, exclusive)`.

        `exclusive` is True if no other thread is calling it. A batch has at most `max_batch` calls.
        """
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
        """Whether calls are pending and none was completed in the last `seconds`."""
        return self._progress.is_stalled(seconds)

    def submit(self, call: Call) -> "Future[Answer]":
        """Queue a call. Raises QueueFullError if `max_waiting` calls are waiting."""
        future: Future[Answer] = Future()
        with self._condition:
            if len(self._waiting) >= self._max_waiting:
                raise QueueFullError
            self._progress.begin()
            self._waiting.append((call, future))
            self._condition.notify()
        return future

    def close(self) -> None:
        """Process the waiting calls, then end the threads. Do not submit calls afterwards."""
        with self._condition:
            self._open = False
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _run_worker(self) -> None:
        while batch := self._next_batch():
            self._run_batch(*batch)

    def _next_batch(self) -> "tuple[Batch[Call, Answer], bool] | None":
        """The next batch, and whether it is exclusive; None when closed and empty."""
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
        except Exception as error:  # any error is passed to the callers
            self._finish_batch(len(batch))
            for future in futures:
                future.set_exception(error)
            return
        self._finish_batch(len(batch))
        for future, answer in pairs:
            future.set_result(answer)

    def _finish_batch(self, calls: int) -> None:
        """Called before results are set, so that an immediate next call finds this worker idle."""
        with self._condition:
            self._busy -= 1
            self._progress.end(calls)
