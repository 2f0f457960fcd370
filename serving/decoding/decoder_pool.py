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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from queue import Empty, LifoQueue
from threading import Event, Lock
from typing import get_args

import numpy as np

from serving.batcher import Progress, QueueFullError
from serving.decoding.decoded import CroppedImage
from serving.decoding.decoder_process import DecodeOptions, DecodeOutput, memory_exceeded, serve
from serving.decoding.undecodable import Code, UndecodableError

POLL_SECONDS = 0.05
"""How often a waiting thread asks whether its caller has gone."""

MAX_HEADER_BYTES = 4_096
MAX_CONTENT_BYTES = 64 * 2**20
"""A crop of 4,096 pixels a side takes 48 MB."""

JOIN_SECONDS = 10.0

NO_THREAD_MEMORY_STATUS = 127
"""glibc's word for it, where a library starts a thread at the limit on memory."""

CRASH_SIGNALS = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)
)


CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([serve.__module__])

_PROCESSES = Lock()
"""To start a process, `multiprocessing` asks after all others: one thread at a time."""


def start_fork_server() -> None:
    """Starts the process that the others are forked from; it imports in the background."""
    forkserver.ensure_running()


class CpuTimeExceededError(Exception):
    """The file used the processor time that it was given."""


class DecoderLostError(Exception):
    """The process was ended from outside, or its caller has gone: nothing is known of the file."""


class DecoderPool:
    """At most `processes` decode at once; `max_waiting` more wait, first come first served."""

    def __init__(self, options: DecodeOptions, processes: int, max_waiting: int) -> None:
        self._options = options
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decoder")
        self._max_in_flight = processes + max_waiting
        self._in_flight = 0
        self._idle: LifoQueue[_DecoderProcess] = LifoQueue()
        self._progress = Progress()

    async def decode_crop(self, body: bytes) -> CroppedImage:
        """Decodes and crops one file; at once QueueFullError where too many wait.

        Raises UndecodableError, CpuTimeExceededError, DecoderLostError.
        """
        header, content = await self._decode("photo", body)
        side = self._options.preprocessing.crop
        pixels = np.frombuffer(content, np.uint8).reshape(side, side, 3)
        return CroppedImage(pixels, int(header["width"]), int(header["height"]), header["format"])

    async def make_thumbnail(self, body: bytes) -> bytes:
        """A JPEG of at most 160 pixels a side. Raises as `decode_crop` does."""
        return (await self._decode("thumbnail", body))[1]

    def is_stalled(self, seconds: float) -> bool:
        """Whether there is work, and no process was done with anything for so long."""
        return self._progress.is_stalled(seconds)

    def close(self) -> None:
        """Returns once every thread and process has ended."""
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().terminate()

    async def _decode(self, output: DecodeOutput, body: bytes) -> "tuple[dict[str, str], bytes]":
        cancelled = Event()
        with self._reserve():
            self._progress.begin()
            future = self._threads.submit(self._run, output, body, cancelled)
            future.add_done_callback(lambda done: self._progress.end(cancelled=done.cancelled()))
            try:
                return await asyncio.wrap_future(future)
            finally:
                cancelled.set()  # a process in the middle of it is ended

    @contextmanager
    def _reserve(self) -> Iterator[None]:
        if self._in_flight >= self._max_in_flight:
            raise QueueFullError
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def _run(
        self, output: DecodeOutput, body: bytes, cancelled: Event
    ) -> "tuple[dict[str, str], bytes]":
        """Leaves the process to the next file only where it has answered."""
        decoder = self._acquire()
        try:
            return decoder.decode(output, body, cancelled)
        finally:
            if decoder.ready:
                self._idle.put(decoder)
            else:
                decoder.terminate()

    def _acquire(self) -> "_DecoderProcess":
        while True:
            try:
                decoder = self._idle.get_nowait()
            except Empty:
                return _DecoderProcess(self._options)
            if decoder.is_alive:
                return decoder
            decoder.terminate()


class _DecoderProcess:
    """One process, used by one thread at a time."""

    def __init__(self, options: DecodeOptions) -> None:
        self._pipe, child_pipe = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=serve, args=(child_pipe, options), daemon=True)
        with _PROCESSES:
            self._process.start()
        child_pipe.close()
        self.ready = True
        """Whether it waits for a file: it is not in the middle of one, and has not ended."""

    @property
    def is_alive(self) -> bool:
        with _PROCESSES:
            return self._process.is_alive()

    def decode(
        self, output: DecodeOutput, body: bytes, cancelled: Event
    ) -> "tuple[dict[str, str], bytes]":
        self.ready = False
        try:
            self._pipe.send_bytes(output.encode())
            self._pipe.send_bytes(body)
            while not self._pipe.poll(POLL_SECONDS):
                if cancelled.is_set():
                    raise DecoderLostError("its caller has gone")
            header = json.loads(self._pipe.recv_bytes(MAX_HEADER_BYTES))
            content = self._pipe.recv_bytes(MAX_CONTENT_BYTES)
        except (EOFError, OSError) as error:
            raise self._exit_error() from error
        self.ready = not header.pop("last")
        if header.get("code") in get_args(Code):
            raise UndecodableError(header["code"], header["message"])
        return header, content

    def terminate(self) -> None:
        self._process.kill()
        self._pipe.close()
        with _PROCESSES:
            self._process.join(JOIN_SECONDS)

    def _exit_error(self) -> Exception:
        with _PROCESSES:
            self._process.join(JOIN_SECONDS)
            status = self._process.exitcode
        if status == -signal.SIGPROF:
            return CpuTimeExceededError()
        if status == NO_THREAD_MEMORY_STATUS:
            return memory_exceeded()
        if status is not None and -status in CRASH_SIGNALS:
            return UndecodableError("corrupt", "The file is damaged: it makes its decoder crash.")
        if status is None or status < 0:
            return DecoderLostError(f"a decoder ended with status {status}")
        return RuntimeError(f"a decoder failed with status {status}")
