"""From a request's body to replies: wait for a worker, decode, ask the network, choose labels.

Only JPEGs that are cheap by their structure are decoded by the workers, beside the network. All
else goes to decoder processes, small files to others than large ones, so that whatever a file costs
nobody else waits for it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from domain.model import ModelCard
from domain.reply import Label, Labelled, Server
from serving import preprocess
from serving.batcher import Batcher
from serving.decoding import arrays, bounds, jpeg
from serving.decoding.decode import detect_format
from serving.decoding.decoded import CroppedImage
from serving.decoding.decoder_pool import CpuTimeExceededError, DecoderPool, start_fork_server
from serving.decoding.decoder_process import DecodeOptions
from serving.decoding.sniff import Format, claimed_pixels
from serving.decoding.undecodable import UndecodableError
from serving.engines import Engine
from serving.preprocess import Pixels
from serving.settings import Settings


@dataclass(frozen=True, slots=True)
class ScoredImage:
    image: CroppedImage
    scores: NDArray[np.float32]
    model_ms: float
    """How long the network took for the batch that this image was in."""


class NotCheapError(Exception):
    """This JPEG would hold up a worker, or is not an ordinary one."""


DecodeCall = Callable[[], CroppedImage]
"""From a body to what the network takes, once a worker is free for it.

May raise UndecodableError or NotCheapError.
"""

MAX_SMALL_BYTES = 1_000_000
MAX_SMALL_PIXELS = 1_000_000
MAX_PARSED_BYTES = 100_000
SMALL_TEXT_BYTES = 2 * bounds.PNG_TEXT_BYTES
"""Of a PNG: a profile and one text more, 5 ms at most."""

SMALL_CPU_SECONDS = 0.05
"""What claims to be small has so much processor time before it counts as large."""

LARGE_NICENESS = 5
"""Where processors are short, a third of the time that small files and the network get."""


class Classifier:
    """One worker a core: each takes some of what waits, decodes it, and runs the network on it."""

    def __init__(
        self, card: ModelCard, engine: Engine, settings: Settings, workers: int = 1
    ) -> None:
        self._card = card
        self._engine = engine
        self._settings = settings
        self._server = Server(str(settings.model_id), settings.container)
        options = DecodeOptions(card.preprocessing, settings.max_pixels, SMALL_CPU_SECONDS, 0)
        self._small = DecoderPool(options, workers, settings.queue)
        options = replace(options, cpu_seconds=settings.decode_ms / 1000, niceness=LARGE_NICENESS)
        self._large = DecoderPool(options, settings.max_decodes, settings.max_large)
        self._arrays = ThreadPoolExecutor(settings.max_decodes, thread_name_prefix="array")
        waiting = settings.queue * settings.max_arrays
        self._batcher = Batcher(self._predict_batch, workers, settings.max_batch, waiting)

    @property
    def server(self) -> Server:
        return self._server

    @property
    def is_alive(self) -> bool:
        """Whether all threads live, and none of those who work has stalled."""
        parts = (self._batcher, self._small, self._large)
        seconds = self._settings.stall_seconds
        return self._batcher.is_alive and not any(part.is_stalled(seconds) for part in parts)

    def warm_up(self) -> None:
        """The first pass of each size allocates and chooses kernels: not on a caller's time."""
        side = self._card.preprocessing.crop
        for count in {1, self._settings.max_batch}:
            self._engine(np.zeros((count, side, side, 3), np.uint8), count == 1)
        start_fork_server()

    async def classify_file(self, body: bytes, top_k: int) -> Labelled:
        """Raises UndecodableError for the body, and to retry QueueFullError, DecoderLostError."""
        image_format = detect_format(body)
        if image_format == "jpeg":
            with suppress(NotCheapError):
                return self._encode_response(
                    await self._predict(partial(self._decode_cheap, body)), top_k
                )
        photo = await self._decode_in_process(body, image_format)
        return self._encode_response(await self._predict(lambda: photo), top_k)

    async def make_thumbnail(self, body: bytes) -> bytes:
        """A JPEG. Raises UndecodableError, and to retry QueueFullError, DecoderLostError."""
        detect_format(body)
        try:
            return await self._large.make_thumbnail(body)
        except CpuTimeExceededError as error:
            raise self._too_expensive() from error

    async def classify_array(self, body: bytes, top_k: int) -> Labelled | list[Labelled]:
        """Raises UndecodableError for the body; QueueFullError where too many wait.

        Of many images a batch at a time, so that others take turns with them.
        """
        limits = self._settings.max_pixels, self._settings.max_arrays
        loop = asyncio.get_running_loop()
        match await loop.run_in_executor(self._arrays, arrays.read_array, body, *limits):
            case arrays.ArrayImage(image):
                return self._encode_response(
                    await self._predict(partial(self._crop_pixels, image)), top_k
                )
            case arrays.ArrayImages(images):
                scored: list[ScoredImage] = []
                for start in range(0, len(images), self._settings.max_batch):
                    some = images[start : start + self._settings.max_batch]
                    calls = [partial(self._crop_pixels, image) for image in some]
                    scored += await asyncio.gather(*(self._predict(call) for call in calls))
                return [self._encode_response(entry, top_k) for entry in scored]

    def close(self) -> None:
        """Answers what is waiting, then ends the threads and processes."""
        self._arrays.shutdown()
        self._small.close()
        self._large.close()
        self._batcher.close()

    async def _decode_in_process(self, body: bytes, image_format: Format) -> CroppedImage:
        try:
            if is_small(body, image_format):
                with suppress(CpuTimeExceededError):
                    return await self._small.decode_crop(body)
            return await self._large.decode_crop(body)
        except CpuTimeExceededError as error:
            raise self._too_expensive() from error

    def _too_expensive(self) -> UndecodableError:
        return UndecodableError(
            "too_expensive",
            f"Decoding the file takes more than {self._settings.decode_ms / 1000:g} s of processor "
            "time. Save it smaller, as baseline JPEG or PNG, and send that.",
        )

    def _decode_cheap(self, body: bytes) -> CroppedImage:
        preprocessing = self._card.preprocessing
        limits = self._settings.max_pixels, preprocess.shorter_side(preprocessing)
        decoded = jpeg.decode_cheap(body, *limits)
        if decoded is None:
            raise NotCheapError
        pixels = preprocess.crop(decoded.pixels, preprocessing)
        return CroppedImage(pixels, decoded.width, decoded.height, decoded.format)

    def _crop_pixels(self, image: Pixels) -> CroppedImage:
        height, width, _ = image.shape
        return CroppedImage(preprocess.crop(image, self._card.preprocessing), width, height, "npy")

    async def _predict(self, call: DecodeCall) -> ScoredImage:
        answer = await asyncio.wrap_future(self._batcher.submit(call))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _encode_response(self, scored: ScoredImage, top_k: int) -> Labelled:
        return Labelled(
            self._server,
            top_labels(scored.scores, self._card.labels, top_k),
            scored.image.width,
            scored.image.height,
            scored.image.format,
            scored.model_ms,
        )

    def _predict_batch(
        self, calls: Sequence[DecodeCall], exclusive: bool
    ) -> list[ScoredImage | UndecodableError | NotCheapError]:
        """One an image: what is wrong with one is not its neighbours' trouble."""
        decoded = [_decode_request(call) for call in calls]
        photos = [photo for photo in decoded if isinstance(photo, CroppedImage)]
        if not photos:
            return [entry for entry in decoded if not isinstance(entry, CroppedImage)]
        started = time.perf_counter()
        scores = iter(self._engine(np.stack([photo.pixels for photo in photos]), exclusive))
        model_ms = round((time.perf_counter() - started) * 1000, 1)
        return [
            ScoredImage(entry, next(scores), model_ms) if isinstance(entry, CroppedImage) else entry
            for entry in decoded
        ]


def _decode_request(call: DecodeCall) -> CroppedImage | UndecodableError | NotCheapError:
    try:
        return call()
    except (UndecodableError, NotCheapError) as reason:
        return reason


def is_small(body: bytes, image_format: Format) -> bool:
    """By what it claims; what claims too little only loses SMALL_SECONDS by it.

    What JPEG, HEIF and TIFF claim takes a walk through the file, so of few bytes only. Raises
    UndecodableError for too many of their parts.
    """
    max_bytes = MAX_PARSED_BYTES if image_format in PIXEL_COUNTERS else MAX_SMALL_BYTES
    if len(body) > max_bytes or (
        image_format == "png" and bounds.estimate_png_text_bytes(body) > SMALL_TEXT_BYTES
    ):
        return False
    with suppress(IndexError):  # the decoder says what is wrong with it
        pixels = (
            PIXEL_COUNTERS[image_format](body)
            if image_format in PIXEL_COUNTERS
            else claimed_pixels(body, image_format)
        )
        return pixels is not None and 0 < pixels <= MAX_SMALL_PIXELS
    return False


PIXEL_COUNTERS: Mapping[Format, Callable[[bytes], int]] = MappingProxyType(
    {
        "jpeg": lambda body: prod(bounds.count_scans_and_pixels(body)),
        "heif": bounds.count_heif_pixels,
        "tiff": bounds.count_tiff_pixels,
    }
)


def top_labels(scores: NDArray[np.float32], labels: Sequence[str], top_k: int) -> tuple[Label, ...]:
    """Best first; equal scores in the order of the card."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(Label(labels[index], round(float(scores[index]), 6)) for index in order)
