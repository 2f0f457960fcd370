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
from serving.decoding.decode import image_format
from serving.decoding.decoded import Photo
from serving.decoding.decoder_pool import Decoders, Overrun, prepare
from serving.decoding.decoder_process import Work
from serving.decoding.sniff import Format, claimed_pixels
from serving.decoding.undecodable import Undecodable
from serving.engines import Engine
from serving.preprocess import Pixels
from serving.settings import Settings


@dataclass(frozen=True, slots=True)
class Scored:
    photo: Photo
    scores: NDArray[np.float32]
    model_ms: float
    """How long the network took for the batch that this image was in."""


class NotCheap(Exception):
    """This JPEG would hold up a worker, or is not an ordinary one."""


Load = Callable[[], Photo]
"""From a body to what the network takes, once a worker is free for it.

May raise Undecodable or NotCheap.
"""

SMALL_BYTES = 1_000_000
SMALL_PIXELS = 1_000_000
SMALL_WALKED_BYTES = 100_000
SMALL_PACKED_BYTES = 8_192
"""Of a PNG's text and profiles: unpacked, 8 MB and 20 ms at most."""

SMALL_SECONDS = 0.05
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
        work = Work(card.preprocessing, settings.max_pixels, SMALL_SECONDS, 0)
        self._small = Decoders(work, workers, settings.queue)
        work = replace(work, cpu_seconds=settings.decode_ms / 1000, niceness=LARGE_NICENESS)
        self._large = Decoders(work, settings.max_decodes, settings.max_large)
        self._arrays = ThreadPoolExecutor(settings.max_decodes, thread_name_prefix="array")
        waiting = settings.queue * settings.max_arrays
        self._batcher = Batcher(self._answer, workers, settings.max_batch, waiting)

    @property
    def server(self) -> Server:
        return self._server

    @property
    def alive(self) -> bool:
        """Whether all threads live, and none of those who work has stalled."""
        parts = (self._batcher, self._small, self._large)
        seconds = self._settings.stall_seconds
        return self._batcher.alive and not any(part.stalled(seconds) for part in parts)

    def warm(self) -> None:
        """The first pass of each size allocates and chooses kernels: not on a caller's time."""
        side = self._card.preprocessing.crop
        for count in {1, self._settings.max_batch}:
            self._engine(np.zeros((count, side, side, 3), np.uint8), count == 1)
        prepare()

    async def file(self, body: bytes, top_k: int) -> Labelled:
        """Raises Undecodable for the body; Full where too many wait, and Lost: ask again."""
        form = image_format(body)
        if form == "jpeg":
            with suppress(NotCheap):
                return self._labelled(await self._scored(partial(self._cheap, body)), top_k)
        photo = await self._decoded(body, form)
        return self._labelled(await self._scored(lambda: photo), top_k)

    async def thumbnail(self, body: bytes) -> bytes:
        """A JPEG. Raises Undecodable for the body, Full where too many wait, Lost."""
        image_format(body)
        try:
            return await self._large.thumbnail(body)
        except Overrun as error:
            raise self._too_expensive() from error

    async def array(self, body: bytes, top_k: int) -> Labelled | list[Labelled]:
        """Raises Undecodable for the body, Full where too many wait.

        Of many images a batch at a time, so that others take turns with them.
        """
        limits = self._settings.max_pixels, self._settings.max_arrays
        loop = asyncio.get_running_loop()
        match await loop.run_in_executor(self._arrays, arrays.read, body, *limits):
            case arrays.One(image):
                return self._labelled(await self._scored(partial(self._from_pixels, image)), top_k)
            case arrays.Many(images):
                scored: list[Scored] = []
                for start in range(0, len(images), self._settings.max_batch):
                    some = images[start : start + self._settings.max_batch]
                    loads = [partial(self._from_pixels, image) for image in some]
                    scored += await asyncio.gather(*(self._scored(load) for load in loads))
                return [self._labelled(each, top_k) for each in scored]

    def close(self) -> None:
        """Answers what is waiting, then ends the threads and processes."""
        self._arrays.shutdown()
        self._small.close()
        self._large.close()
        self._batcher.close()

    async def _decoded(self, body: bytes, form: Format) -> Photo:
        try:
            if is_small(body, form):
                with suppress(Overrun):
                    return await self._small.photo(body)
            return await self._large.photo(body)
        except Overrun as error:
            raise self._too_expensive() from error

    def _too_expensive(self) -> Undecodable:
        return Undecodable(
            "too_expensive",
            f"Decoding the file takes more than {self._settings.decode_ms / 1000:g} s of processor "
            "time. Save it smaller, as baseline JPEG or PNG, and send that.",
        )

    def _cheap(self, body: bytes) -> Photo:
        numbers = self._card.preprocessing
        limits = self._settings.max_pixels, preprocess.shorter_side(numbers)
        decoded = jpeg.read_cheap(body, *limits)
        if decoded is None:
            raise NotCheap
        pixels = preprocess.crop(decoded.pixels, numbers)
        return Photo(pixels, decoded.width, decoded.height, decoded.format)

    def _from_pixels(self, image: Pixels) -> Photo:
        height, width, _ = image.shape
        return Photo(preprocess.crop(image, self._card.preprocessing), width, height, "npy")

    async def _scored(self, load: Load) -> Scored:
        answer = await asyncio.wrap_future(self._batcher.submit(load))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _labelled(self, scored: Scored, top_k: int) -> Labelled:
        return Labelled(
            self._server,
            best(scored.scores, self._card.labels, top_k),
            scored.photo.width,
            scored.photo.height,
            scored.photo.format,
            scored.model_ms,
        )

    def _answer(self, loads: Sequence[Load], alone: bool) -> list[Scored | Undecodable | NotCheap]:
        """One an image: what is wrong with one is not its neighbours' trouble."""
        seen = [_seen(load) for load in loads]
        photos = [photo for photo in seen if isinstance(photo, Photo)]
        if not photos:
            return [each for each in seen if not isinstance(each, Photo)]
        started = time.perf_counter()
        scores = iter(self._engine(np.stack([photo.pixels for photo in photos]), alone))
        model_ms = round((time.perf_counter() - started) * 1000, 1)
        return [
            Scored(each, next(scores), model_ms) if isinstance(each, Photo) else each
            for each in seen
        ]


def _seen(load: Load) -> Photo | Undecodable | NotCheap:
    try:
        return load()
    except (Undecodable, NotCheap) as reason:
        return reason


def is_small(body: bytes, form: Format) -> bool:
    """By what it claims; what claims too little only loses SMALL_SECONDS by it.

    What JPEG, HEIF and TIFF claim takes a walk through the file, so of few bytes only. Raises
    Undecodable for too many of their parts.
    """
    most = SMALL_WALKED_BYTES if form in WALKED else SMALL_BYTES
    if len(body) > most or (form == "png" and bounds.png_packed_bytes(body) > SMALL_PACKED_BYTES):
        return False
    with suppress(IndexError):  # the decoder says what is wrong with it
        pixels = WALKED[form](body) if form in WALKED else claimed_pixels(body, form)
        return pixels is not None and 0 < pixels <= SMALL_PIXELS
    return False


WALKED: Mapping[Format, Callable[[bytes], int]] = MappingProxyType(
    {
        "jpeg": lambda body: prod(bounds.scans_and_pixels(body)),
        "heif": bounds.heif_pixels,
        "tiff": bounds.tiff_pixels,
    }
)


def best(scores: NDArray[np.float32], labels: Sequence[str], top_k: int) -> tuple[Label, ...]:
    """Best first; equal scores in the order of the card."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(Label(labels[index], round(float(scores[index]), 6)) for index in order)
