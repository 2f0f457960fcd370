"""A pool of decoder processes, which are killed if a file takes too much time or memory.

A thread of the server waits for each process. The pool costs a copy of the body to the process and
of about 150 kB back, 60 MB for the first process and a few MB for each further one, and a new
process after each one that was killed.
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
"""The interval in which a waiting thread checks whether its request was cancelled."""

MAX_HEADER_BYTES = 4_096
MAX_CONTENT_BYTES = 64 * 2**20
"""A crop of 4,096 pixels a side takes 48 MB."""

JOIN_SECONDS = 10.0

NO_THREAD_MEMORY_STATUS = 127
"""The exit status of glibc if a library cannot start a thread at the memory limit."""

CRASH_SIGNALS = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)
)


CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([serve.__module__])

_PROCESSES = Lock()
"""Serialises calls to `multiprocessing`, which polls all processes when it starts one."""


def start_fork_server() -> None:
    """Start the fork server, which imports the decoders in the background."""
    forkserver.ensure_running()


class CpuTimeExceededError(Exception):
    """The file exceeded its processor time."""


class DecoderLostError(Exception):
    """The process was killed by something else, or the request was cancelled; try again."""


class DecoderPool:
    """Up to `processes` files are decoded at once, and `max_waiting` more wait, in order."""

    def __init__(self, options: DecodeOptions, processes: int, max_waiting: int) -> None:
        self._options = options
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decoder")
        self._max_in_flight = processes + max_waiting
        self._in_flight = 0
        self._idle: LifoQueue[_DecoderProcess] = LifoQueue()
        self._progress = Progress()

    async def decode_crop(self, body: bytes) -> CroppedImage:
        """Decode and crop a file.

        Raises QueueFullError immediately if too many wait; UndecodableError, CpuTimeExceededError,
        DecoderLostError.
        """
        header, content = await self._decode("photo", body)
        side = self._options.preprocessing.crop
        pixels = np.frombuffer(content, np.uint8).reshape(side, side, 3)
        return CroppedImage(pixels, int(header["width"]), int(header["height"]), header["format"])

    async def make_thumbnail(self, body: bytes) -> bytes:
        """A JPEG of at most 160 pixels a side. Raises as `decode_crop` does."""
        return (await self._decode("thumbnail", body))[1]

    def is_stalled(self, seconds: float) -> bool:
        """Whether files are pending and none was completed in the last `seconds`."""
        return self._progress.is_stalled(seconds)

    def close(self) -> None:
        """End all threads and processes."""
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
                cancelled.set()  # a process that is decoding it is killed

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
        """Decode in an idle process, which is reused only if it has answered."""
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
        """Whether the process waits for a file: it is not decoding one, and has not ended."""

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
