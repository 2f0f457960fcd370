"""A decoder process: takes a body, answers with what is kept of it, and dies of what is too much.

The kernel ends it, so no C library can refuse: SIGPROF once a file has used its processor time,
`MemoryError` at the limit on memory. It imports neither OpenVINO nor the server, and is forked from
a process that has already imported what it needs, so that a new one takes some 20 ms.
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
from serving.decoding.decode import CONVERT_ADVICE, decode
from serving.decoding.thumbnail import make_thumbnail
from serving.decoding.undecodable import UndecodableError

Image.init()  # now, in the process that all are forked from: it takes longer than a small file may

DecodeOutput = Literal["photo", "thumbnail"]

MAX_MEMORY_BYTES = 480 * 2**20
"""Beyond what an idle decoder has. With a body of 100 MB in the server, 600 MB in all."""

MAX_RETAINED_BYTES = 32 * 2**20
"""What a decoder may keep of the files before. C libraries keep what they free in a heap for each
of their threads, and some lose it; who keeps more ends, so that every file has the same memory."""

MAX_OUTPUT_NAME_BYTES = 16


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What every file is decoded for, and what it may cost."""

    preprocessing: Preprocessing
    max_pixels: int
    cpu_seconds: float
    niceness: int
    """Added to the server's own: neighbours come first."""
    memory_bytes: int = MAX_MEMORY_BYTES


def serve(pipe: Connection, options: DecodeOptions) -> None:
    """Answers until the pipe is closed: a kind and a body in, a JSON object and bytes out.

    Or until too much memory is left behind: then `last` is in the object.
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
    """Where there is enough memory for the pixels, and not enough for what follows."""
    return UndecodableError(
        "too_expensive", f"The file takes too much memory to decode. {CONVERT_ADVICE}"
    )


def _decode_crop(body: bytes, options: DecodeOptions) -> tuple[dict[str, object], bytes]:
    preprocessing = options.preprocessing
    decoded = decode(body, options.max_pixels, preprocess.shorter_side(preprocessing))
    header = {"width": decoded.width, "height": decoded.height, "format": decoded.format}
    return header, preprocess.crop(decoded.pixels, preprocessing).tobytes()


def _decode_thumbnail(body: bytes, options: DecodeOptions) -> tuple[dict[str, object], bytes]:
    return {}, make_thumbnail(body, options.max_pixels)


def _apply_limits(options: DecodeOptions) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle
    warnings.simplefilter("ignore")
    os.nice(options.niceness)
    data = _data_bytes() + options.memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the image
    Path("/proc/self/oom_score_adj").write_text("1000")  # where memory is short, before the server


def _data_bytes() -> int:
    """What RLIMIT_DATA counts: private memory that this process may write to."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmData:")).split()[1]) * 1024
