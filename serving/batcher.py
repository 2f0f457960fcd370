"""Natural batching: block for one call, take what is already waiting, never wait for a crowd.

While batches are being answered the next ones gather by themselves, so batches grow with the load
and a lone call waits for nobody. A worker leaves each idle neighbour its share of what waits. What
it costs: a thread a core, and no way to prefer one call to another.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Condition, Thread
from time import monotonic
from typing import Generic, TypeVar

from domain.errors import SortboxError

Call = TypeVar("Call")
Answer = TypeVar("Answer")

Batch = list[tuple[Call, "Future[Answer]"]]


class Full(SortboxError):
    """As many calls are waiting as may."""


class Batcher(Generic[Call, Answer]):
    def __init__(
        self,
        answer: Callable[[Sequence[Call], bool], Sequence[Answer]],
        workers: int,
        max_batch: int,
        max_waiting: int,
    ) -> None:
        """`answer(calls, alone)`, called by `workers` threads at once; alone: by no other now."""
        self._answer = answer
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[Call, Future[Answer]]] = deque()
        self._changed = Condition()
        self._busy = 0
        self._progress = monotonic()
        """When a worker last finished, or when the first call came while none was under way."""
        self._open = True
        self._threads = [
            Thread(target=self._serve, name=f"worker-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def stalled(self, seconds: float) -> bool:
        """Whether there is work, and no worker has finished anything for so long."""
        with self._changed:
            return bool(self._waiting or self._busy) and monotonic() - self._progress > seconds

    def submit(self, call: Call) -> "Future[Answer]":
        """Raises Full at once where `max_waiting` calls are waiting."""
        future: Future[Answer] = Future()
        with self._changed:
            if len(self._waiting) >= self._max_waiting:
                raise Full
            if not self._waiting and not self._busy:
                self._progress = monotonic()
            self._waiting.append((call, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Answers what is waiting, then returns. No call may be submitted any more."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while batch := self._take():
            self._settle(*batch)

    def _take(self) -> "tuple[Batch[Call, Answer], bool] | None":
        """What this worker is to answer, and whether alone; None when all is answered."""
        with self._changed:
            while not self._waiting and self._open:
                self._changed.wait()
            if not self._waiting:
                return None
            idle = len(self._threads) - self._busy
            share = -(-len(self._waiting) // idle)
            batch = [self._waiting.popleft() for _ in range(min(share, self._max_batch))]
            alone = len(batch) == 1 and not self._waiting and self._busy == 0
            self._busy += 1
            return batch, alone

    def _settle(self, batch: "Batch[Call, Answer]", alone: bool) -> None:
        asked = [pair for pair in batch if pair[1].set_running_or_notify_cancel()]
        calls, futures = [call for call, _ in asked], [future for _, future in asked]
        try:
            answers = self._answer(calls, alone) if asked else ()
            pairs = list(zip(futures, answers, strict=True))
        except Exception as error:  # a door: whatever it is, it belongs to the callers
            self._rest()
            for future in futures:
                future.set_exception(error)
            return
        self._rest()
        for future, answer in pairs:
            future.set_result(answer)

    def _rest(self) -> None:
        """Before the answers go out: who asks again at once must not find this worker busy."""
        with self._changed:
            self._busy -= 1
            self._progress = monotonic()
