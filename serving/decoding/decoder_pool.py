"""Decoder processes as the server sees them: a few at once, each ended when it costs too much.

A thread of the server waits for each process. What it costs: a copy of the body there and of some
150 kB back, 60 MB for the first process and a few for each one more, and a new process for each
file that had to be ended.
"""

import asyncio
import json
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from queue import Empty, LifoQueue
from threading import Event, Lock
from time import monotonic
from typing import get_args

import numpy as np

from serving.batcher import Full
from serving.decoding.decoded import Photo
from serving.decoding.decoder_process import Kind, Work, serve, too_large
from serving.decoding.undecodable import Code, Undecodable

LOOK_SECONDS = 0.05
"""How often a waiting thread asks whether its caller has gone."""

ABOUT_BYTES = 4_096
CONTENT_BYTES = 64 * 2**20
"""A crop of 4,096 pixels a side takes 48 MB."""

END_SECONDS = 10.0

NO_THREAD_MEMORY = 127
"""glibc's word for it, where a library starts a thread at the limit on memory."""

CRASHES = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)
)


CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([serve.__module__])

_PROCESSES = Lock()
"""To start a process, `multiprocessing` asks after all others: one thread at a time."""


def prepare() -> None:
    """Starts the process that the others are forked from; it imports in the background."""
    forkserver.ensure_running()


class Overrun(Exception):
    """The file used the processor time that it was given."""


class Lost(Exception):
    """The process was ended from outside, or its caller has gone: nothing is known of the file."""


class Decoders:
    """At most `processes` decode at once; `max_waiting` more wait, first come first served."""

    def __init__(self, work: Work, processes: int, max_waiting: int) -> None:
        self._work = work
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decoder")
        self._most = processes + max_waiting
        self._held = 0
        self._idle: LifoQueue[_Decoder] = LifoQueue()
        self._progress = _Progress()

    async def photo(self, body: bytes) -> Photo:
        """Raises Undecodable, Overrun, Lost; Full at once where too many wait."""
        about, content = await self._decode("photo", body)
        side = self._work.preprocessing.crop
        pixels = np.frombuffer(content, np.uint8).reshape(side, side, 3)
        return Photo(pixels, int(about["width"]), int(about["height"]), about["format"])

    async def thumbnail(self, body: bytes) -> bytes:
        """A JPEG. Raises Undecodable, Overrun, Lost; Full at once where too many wait."""
        return (await self._decode("thumbnail", body))[1]

    def stalled(self, seconds: float) -> bool:
        """Whether there is work, and no process was done with anything for so long."""
        return self._progress.stalled(seconds)

    def close(self) -> None:
        """Returns once every thread and process has ended."""
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().end()

    async def _decode(self, kind: Kind, body: bytes) -> "tuple[dict[str, str], bytes]":
        gone = Event()
        with self._place():
            self._progress.begin()
            future = self._threads.submit(self._ask, kind, body, gone)
            future.add_done_callback(self._progress.end)
            try:
                return await asyncio.wrap_future(future)
            finally:
                gone.set()  # a process in the middle of it is ended

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._held >= self._most:
            raise Full
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def _ask(self, kind: Kind, body: bytes, gone: Event) -> "tuple[dict[str, str], bytes]":
        """Leaves the process to the next file only where it has answered."""
        decoder = self._take()
        try:
            return decoder.ask(kind, body, gone)
        finally:
            if decoder.ready:
                self._idle.put(decoder)
            else:
                decoder.end()

    def _take(self) -> "_Decoder":
        while True:
            try:
                decoder = self._idle.get_nowait()
            except Empty:
                return _Decoder(self._work)
            if decoder.alive:
                return decoder
            decoder.end()


class _Progress:
    """Of files that wait or are decoded. One whose thread hangs is under way, whoever has gone."""

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

    def end(self, future: "Future[tuple[dict[str, str], bytes]]") -> None:
        with self._lock:
            self._under_way -= 1
            if not future.cancelled():  # one that only waited says nothing about the processes
                self._last = monotonic()

    def stalled(self, seconds: float) -> bool:
        with self._lock:
            return bool(self._under_way) and monotonic() - self._last > seconds


class _Decoder:
    """One process, used by one thread at a time."""

    def __init__(self, work: Work) -> None:
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=serve, args=(theirs, work), daemon=True)
        with _PROCESSES:
            self._process.start()
        theirs.close()
        self.ready = True
        """Whether it waits for a file: it is not in the middle of one, and has not ended."""

    @property
    def alive(self) -> bool:
        with _PROCESSES:
            return self._process.is_alive()

    def ask(self, kind: Kind, body: bytes, gone: Event) -> "tuple[dict[str, str], bytes]":
        self.ready = False
        try:
            self._pipe.send_bytes(kind.encode())
            self._pipe.send_bytes(body)
            while not self._pipe.poll(LOOK_SECONDS):
                if gone.is_set():
                    raise Lost("its caller has gone")
            about = json.loads(self._pipe.recv_bytes(ABOUT_BYTES))
            content = self._pipe.recv_bytes(CONTENT_BYTES)
        except (EOFError, OSError) as error:
            raise self._death() from error
        self.ready = not about.pop("last")
        if about.get("code") in get_args(Code):
            raise Undecodable(about["code"], about["message"])
        return about, content

    def end(self) -> None:
        self._process.kill()
        self._pipe.close()
        with _PROCESSES:
            self._process.join(END_SECONDS)

    def _death(self) -> Exception:
        with _PROCESSES:
            self._process.join(END_SECONDS)
            status = self._process.exitcode
        if status == -signal.SIGPROF:
            return Overrun()
        if status == NO_THREAD_MEMORY:
            return too_large()
        if status is not None and -status in CRASHES:
            return Undecodable("corrupt", "The file is damaged: it makes its decoder crash.")
        if status is None or status < 0:
            return Lost(f"a decoder ended with status {status}")
        return RuntimeError(f"a decoder failed with status {status}")
