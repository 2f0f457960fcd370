"""A decoder process: receives a file, answers with its crop, and has limits on time and memory.

The kernel enforces the limits, so that they hold in C libraries too: SIGPROF when a file has used
its processor time, and failed allocations at the memory limit. The process imports neither OpenVINO
nor the server, and is forked from one that has imported everything, so that it starts in about 20
ms.
"""

import json
import os
import resource
import signal
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import cv2
from PIL import Image

from domain.model import Preprocessing
from serving import preprocess
from serving.decoding.decode import decode
from serving.decoding.formats.foreign import ADVICE
from serving.decoding.thumbnail import make_thumbnail
from serving.decoding.undecodable import UndecodableError

Image.init()  # in the fork server, as it takes longer than the time limit of a small file

DecodeOutput = Literal["photo", "thumbnail"]

MAX_MEMORY_BYTES = 480 * 2**20
"""The memory limit, in addition to that of an idle process. With a body of 100 MB in the server, a
file takes up to 600 MB."""

MAX_RETAINED_BYTES = 32 * 2**20
"""The memory that a process may retain after a file. C libraries keep freed memory in heaps of
their threads, and some leak. A process that retains more ends, so that every file has the same
limit."""

MAX_OUTPUT_NAME_BYTES = 16


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """Preprocessing and limits, the same for every file of a pool."""

    preprocessing: Preprocessing
    max_pixels: int
    cpu_seconds: float
    niceness: int
    """Added to the server's own niceness, to give other work priority."""
    memory_bytes: int = MAX_MEMORY_BYTES


def serve(pipe: Connection, options: DecodeOptions) -> None:
    """Serve requests until the pipe is closed.

    A request is an output kind and a body, an answer a JSON object and bytes. If the process
    retains too much memory, it sets `last` in the object and ends.
    """
    _apply_limits(options)
    max_bytes, is_last = _data_bytes() + MAX_RETAINED_BYTES, False
    while not is_last:
        try:
            kind, body = pipe.recv_bytes(MAX_OUTPUT_NAME_BYTES).decode(), pipe.recv_bytes()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, options.cpu_seconds)
        try:
            header, content = (
                _decode_crop(body, options) if kind == "photo" else _decode_thumbnail(body, options)
            )
        except (UndecodableError, MemoryError, cv2.error) as error:
            undecodable = error if isinstance(error, UndecodableError) else memory_exceeded()
            header, content = {"code": undecodable.code, "message": undecodable.message}, b""
        signal.setitimer(signal.ITIMER_PROF, 0)
        is_last = _data_bytes() - len(body) > max_bytes
        pipe.send_bytes(json.dumps(header | {"last": is_last}).encode())
        pipe.send_bytes(content)
        del body, content


def memory_exceeded() -> UndecodableError:
    """The rejection of a file that exceeds the memory limit."""
    return UndecodableError(
        "too_expensive", f"The file takes too much memory to decode. {ADVICE['image']}"
    )


def _decode_crop(body: bytes, options: DecodeOptions) -> tuple[dict[str, object], bytes]:
    preprocessing = options.preprocessing
    decoded = decode(body, options.max_pixels, preprocess.shorter_side(preprocessing))
    header = {"width": decoded.width, "height": decoded.height, "format": decoded.format}
    return header, preprocess.crop(decoded.pixels, preprocessing).tobytes()


def _decode_thumbnail(body: bytes, options: DecodeOptions) -> tuple[dict[str, object], bytes]:
    return {}, make_thumbnail(body, options.max_pixels)


def _apply_limits(options: DecodeOptions) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles Ctrl-C
    warnings.simplefilter("ignore")
    os.nice(options.niceness)
    data = _data_bytes() + options.memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the image
    Path("/proc/self/oom_score_adj").write_text("1000")  # killed before the server


def _data_bytes() -> int:
    """The private writable memory of this process in bytes, which RLIMIT_DATA limits."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmData:")).split()[1]) * 1024
