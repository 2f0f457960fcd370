"""smdebug's event files, written by whoever saves a tensor.

smdebug hands tensors to a thread, which dies of a full disk; training would then wait for it for
ever, once the queue between them is full.
"""

from queue import Queue
from typing import Any

from training.debugger.smdebug_compat import EventFileWriter, EventsWriter, LoggerThread


class EventFile(EventFileWriter):  # type: ignore[misc]
    def __init__(self, path: str, index_writer: Any) -> None:
        """Without the thread that the writer it replaces would start."""
        self._ev_writer = EventsWriter(path=path, index_writer=index_writer)
        self._ev_writer.init()
        self._end = object()
        self._waiting: Queue[Any] = Queue()
        self._worker = LoggerThread(self._waiting, self._ev_writer, 0, self._end)

    def write_event(self, event: Any) -> None:
        """Raises OSError."""
        self._waiting.put(event)
        self._waiting.put(self._end)
        self._worker.run()

    def flush(self) -> None:
        self._ev_writer.flush()

    def close(self) -> None:
        try:
            self._ev_writer.close()
        finally:
            self._ev_writer.tfrecord_writer = None  # its destructor would try once more
