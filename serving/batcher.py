"""Natural batching: block for one call, take what is already waiting, never wait for a crowd.

While one batch is being answered the next one gathers by itself, so batches grow with the load and
a lone call waits for nobody. What it costs: one thread, and no way to prefer one call to another.
"""

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Generic, TypeVar

Call = TypeVar("Call")
Answer = TypeVar("Answer")


class Full(Exception):
    """As many calls are waiting as may."""


class Batcher(Generic[Call, Answer]):
    def __init__(
        self,
        answer: Callable[[Sequence[Call]], Sequence[Answer]],
        max_batch: int,
        max_waiting: int,
    ) -> None:
        self._answer = answer
        self._max_batch = max_batch
        self._waiting: queue.Queue[tuple[Call, Future[Answer]] | None] = queue.Queue(max_waiting)
        self._thread = Thread(target=self._serve, name="batcher", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, call: Call) -> "Future[Answer]":
        """Raises Full at once where `max_waiting` calls are waiting."""
        future: Future[Answer] = Future()
        try:
            self._waiting.put_nowait((call, future))
        except queue.Full as error:
            raise Full from error
        return future

    def close(self) -> None:
        """Answers what is waiting, then returns. No call may be submitted any more."""
        self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        open_ = True
        while open_:
            items = [self._waiting.get()]
            while len(items) < self._max_batch and not self._waiting.empty():
                items.append(self._waiting.get())
            open_ = None not in items
            self._settle([item for item in items if item is not None])

    def _settle(self, batch: list[tuple[Call, "Future[Answer]"]]) -> None:
        asked = [pair for pair in batch if pair[1].set_running_or_notify_cancel()]
        if not asked:
            return
        calls, futures = zip(*asked, strict=True)
        try:
            for future, answer in list(zip(futures, self._answer(calls), strict=True)):
                future.set_result(answer)
        except Exception as error:  # a door: whatever it is, it belongs to the callers
            for future in futures:
                future.set_exception(error)
