"""From a request's body to a reply: decode, run the network, select the best labels.

The worker threads decode only JPEGs that are cheap according to their structure. All other files
are decoded in separate processes, with different pools for small and large files, so that an
expensive file does not delay others.
"""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from math import prod
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from domain.model import SCORE_DIGITS, ModelCard
from domain.reply import FeatureVector, Label, Labelled, Server
from serving import preprocess
from serving.archive import ModelLoadError
from serving.batcher import Batcher
from serving.decoding import arrays, bounds, gzipped, jpeg
from serving.decoding.decode import detect_format
from serving.decoding.decoded import CroppedImage
from serving.decoding.decoder_pool import CpuTimeExceededError, DecoderPool, start_fork_server
from serving.decoding.decoder_process import DecodeOptions
from serving.decoding.sniff import Format, claimed_pixels
from serving.decoding.undecodable import UndecodableError
from serving.engines import Engine
from serving.neighbours import Neighbours
from serving.preprocess import Pixels
from serving.settings import Settings


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """A cropped image with its probabilities, one per label of the card, and its features."""

    image: CroppedImage
    scores: NDArray[np.floating]
    features: NDArray[np.float32] | None
    distance: float | None
    """From the training images; None if the card has no rule for unknown images."""
    model_ms: float
    """The time in milliseconds that the network took for the batch with this image."""


class NotCheapError(Exception):
    """The JPEG would occupy a worker for too long, or is not an ordinary one."""


DecodeCall = Callable[[], CroppedImage]
"""Decodes and crops a body in a worker thread. May raise UndecodableError or NotCheapError."""

MAX_SMALL_BYTES = 1_000_000
MAX_SMALL_PIXELS = 1_000_000
MAX_PARSED_BYTES = 100_000
SMALL_CPU_SECONDS = 0.05
"""The processor time of a file that seems to be small; beyond it, it is treated as large."""

LARGE_NICENESS = 5
"""Added niceness: with contention, a third of the time that small files and the network get."""


class Classifier:
    """Classifies images with one worker thread per core, each of which decodes and runs batches."""

    def __init__(
        self,
        card: ModelCard,
        engine: Engine,
        settings: Settings,
        workers: int = 1,
        neighbours: Neighbours | None = None,
    ) -> None:
        """`neighbours`: those of the card's rule for unknown images, if it has one."""
        self._card = card
        self._engine = engine
        self._neighbours = neighbours
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
        """Whether all threads are alive, and neither workers nor decoders have stalled."""
        parts = (self._batcher, self._small, self._large)
        seconds = self._settings.stall_seconds
        return self._batcher.is_alive and not any(part.is_stalled(seconds) for part in parts)

    def warm_up(self) -> None:
        """Run each batch size once, which allocates memory and selects kernels.

        Raises ModelLoadError if the network does not answer numbers, or does not have the features
        that the card relies on.
        """
        side = self._card.preprocessing.crop
        for count in {1, self._settings.max_batch}:
            outputs = self._engine(np.zeros((count, side, side, 3), np.uint8), count == 1)
            parts = (outputs.scores, outputs.features)
            if not all(part is None or np.isfinite(part).all() for part in parts):
                raise ModelLoadError("the network answers NaN or infinity about a black image")
            width = 0 if outputs.features is None else outputs.features.shape[1]
            if self._neighbours and self._neighbours.features != width:
                raise ModelLoadError(
                    f"the network has {width:,} features, but the card tells unknown images by "
                    f"{self._neighbours.features:,}"
                )
        start_fork_server()

    async def unpack(self, body: bytes) -> bytes:
        """The body, unpacked if gzip has packed it. Raises UndecodableError."""
        if not body.startswith(gzipped.MAGIC):
            return body
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._arrays, gzipped.unpack, body, self._settings.max_body_bytes
        )

    async def classify_file(self, body: bytes) -> ScoredImage:
        """Classify an image file.

        Raises UndecodableError if it cannot be decoded; QueueFullError and DecoderLostError if the
        caller should retry.
        """
        image_format = detect_format(body)
        if image_format == "jpeg":
            with suppress(NotCheapError):
                return await self._predict(partial(self._decode_cheap, body))
        photo = await self._decode_in_process(body, image_format)
        return await self._predict(lambda: photo)

    async def make_thumbnail(self, body: bytes) -> bytes:
        """A small JPEG of the image. Raises as `classify_file`."""
        detect_format(body)
        try:
            return await self._large.make_thumbnail(body)
        except CpuTimeExceededError as error:
            raise self._too_expensive() from error

    async def classify_array(self, body: bytes) -> ScoredImage | list[ScoredImage]:
        """Classify a `.npy` array of one image or several.

        Several images are submitted one batch at a time, to share the workers with other requests.
        Raises UndecodableError, QueueFullError.
        """
        limits = self._settings.max_pixels, self._settings.max_arrays
        loop = asyncio.get_running_loop()
        match await loop.run_in_executor(self._arrays, arrays.read_array, body, *limits):
            case arrays.ArrayImage(image):
                return await self._predict(partial(self._crop_pixels, image))
            case arrays.ArrayImages(images):
                scored: list[ScoredImage] = []
                for start in range(0, len(images), self._settings.max_batch):
                    some = images[start : start + self._settings.max_batch]
                    calls = [partial(self._crop_pixels, image) for image in some]
                    scored += await asyncio.gather(*(self._predict(call) for call in calls))
                return scored

    def label(self, scored: ScoredImage, top_k: int, with_features: bool) -> Labelled:
        """The reply about an image: its `top_k` best labels, and its features if they are asked for
        and the network has any."""
        return Labelled(
            self._server,
            top_labels(scored.scores, self._card.labels, top_k),
            scored.image.width,
            scored.image.height,
            scored.image.format,
            scored.model_ms,
            self._card.decide(float(scored.scores.max()), scored.distance),
            encode_features(scored.features) if with_features else None,
        )

    def close(self) -> None:
        """Process the waiting requests, then end the threads and processes."""
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

    def _predict_batch(
        self, calls: Sequence[DecodeCall], exclusive: bool
    ) -> list[ScoredImage | UndecodableError | NotCheapError]:
        """One result per call: an error of one image does not affect the others."""
        decoded = [_decode_request(call) for call in calls]
        photos = [photo for photo in decoded if isinstance(photo, CroppedImage)]
        if not photos:
            return [entry for entry in decoded if not isinstance(entry, CroppedImage)]
        started = time.perf_counter()
        outputs = self._engine(np.stack([photo.pixels for photo in photos]), exclusive)
        model_ms = round((time.perf_counter() - started) * 1000, 1)
        distances: Iterable[float | None] = repeat(None)
        if self._neighbours and outputs.features is not None:
            distances = self._neighbours.distances(outputs.features).tolist()
        features = repeat(None) if outputs.features is None else outputs.features
        rows = zip(outputs.scores, features, distances, strict=False)
        return [
            ScoredImage(entry, *next(rows), model_ms) if isinstance(entry, CroppedImage) else entry
            for entry in decoded
        ]


def _decode_request(call: DecodeCall) -> CroppedImage | UndecodableError | NotCheapError:
    try:
        return call()
    except (UndecodableError, NotCheapError) as reason:
        return reason


def is_small(body: bytes, image_format: Format) -> bool:
    """Whether the file claims to be small. A false claim costs at most SMALL_CPU_SECONDS.

    For JPEG, HEIF and TIFF the size is found by parsing, which is limited to MAX_PARSED_BYTES.
    Raises UndecodableError if a file has too many parts.
    """
    max_bytes = MAX_PARSED_BYTES if image_format in PIXEL_COUNTERS else MAX_SMALL_BYTES
    if len(body) > max_bytes:
        return False
    # What is wrong with it, the decoder says.
    with suppress(IndexError, ValueError, ArithmeticError):
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


def encode_features(features: NDArray[np.float32] | None) -> FeatureVector | None:
    """In half precision, which has 11 bits; what is too large for it becomes its largest number."""
    if features is None:
        return None
    largest = np.finfo(np.float16).max
    half = np.clip(features, -largest, largest).astype("<f2")
    return FeatureVector("float16", len(half), b64encode(half.tobytes()).decode())


def top_labels(
    scores: NDArray[np.floating], labels: Sequence[str], top_k: int
) -> tuple[Label, ...]:
    """The `top_k` labels, highest score first; equal scores are in the order of the card."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(Label(labels[index], round(float(scores[index]), SCORE_DIGITS)) for index in order)
