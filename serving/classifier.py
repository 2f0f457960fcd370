"""From a request's body to replies: wait for a worker, decode, ask the network, choose labels."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import BoundedSemaphore

import numpy as np
from numpy.typing import NDArray

from domain.model import ModelCard
from domain.reply import Label, Labelled, Server
from serving import arrays, jpeg, preprocess
from serving.batcher import Batcher
from serving.decode import hardened
from serving.engines import Engine
from serving.preprocess import Pixels
from serving.settings import Settings
from serving.undecodable import Undecodable


@dataclass(frozen=True, slots=True)
class Photo:
    """All that is kept of an image once it is decoded: a crop of some 150 kB."""

    pixels: Pixels
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Scored:
    photo: Photo
    scores: NDArray[np.float32]
    model_ms: float
    """How long the network took for the batch that this image was in."""


Load = Callable[[], Photo]
"""From a body to what the network takes, once a worker is free for it. May raise Undecodable."""


class Classifier:
    """One worker a core: each takes some of what waits, decodes it, and runs the network on it."""

    def __init__(
        self, card: ModelCard, engine: Engine, settings: Settings, workers: int = 1
    ) -> None:
        self._card = card
        self._engine = engine
        self._settings = settings
        self._server = Server(str(settings.model_id), settings.container)
        self._large = BoundedSemaphore(settings.max_decodes)
        self._arrays = ThreadPoolExecutor(settings.max_decodes, thread_name_prefix="array")
        waiting = settings.queue * settings.max_arrays
        self._batcher = Batcher(self._answer, workers, settings.max_batch, waiting)

    @property
    def server(self) -> Server:
        return self._server

    @property
    def alive(self) -> bool:
        return self._batcher.alive

    def warm(self) -> None:
        """The first pass of each size allocates and chooses kernels: not on a caller's time."""
        side = self._card.preprocessing.crop
        for count in {1, self._settings.max_batch}:
            self._engine(np.zeros((count, side, side, 3), np.uint8), count == 1)

    async def file(self, body: bytes, top_k: int) -> Labelled:
        """Raises Undecodable for the body, Full where too many wait."""
        return await self._label(partial(self._from_file, body), top_k)

    async def array(self, body: bytes, top_k: int) -> Labelled | list[Labelled]:
        """Raises Undecodable for the body, Full where too many wait."""
        limits = self._settings.max_pixels, self._settings.max_arrays
        loop = asyncio.get_running_loop()
        match await loop.run_in_executor(self._arrays, arrays.read, body, *limits):
            case arrays.One(image):
                return await self._label(partial(self._from_pixels, image), top_k)
            case arrays.Many(images):
                loads = [partial(self._from_pixels, image) for image in images]
                return await asyncio.gather(*(self._label(load, top_k) for load in loads))

    def close(self) -> None:
        """Answers what is waiting, then ends the threads."""
        self._arrays.shutdown()
        self._batcher.close()

    def _from_file(self, body: bytes) -> Photo:
        numbers = self._card.preprocessing
        limits = self._settings.max_pixels, preprocess.shorter_side(numbers)
        decoded = jpeg.read(body, *limits)
        if decoded is None:
            with self._large:
                decoded = hardened(body, *limits)
        pixels = preprocess.crop(decoded.pixels, numbers)
        return Photo(pixels, decoded.width, decoded.height, decoded.format)

    def _from_pixels(self, image: Pixels) -> Photo:
        height, width, _ = image.shape
        return Photo(preprocess.crop(image, self._card.preprocessing), width, height, "npy")

    async def _label(self, load: Load, top_k: int) -> Labelled:
        answer = await asyncio.wrap_future(self._batcher.submit(load))
        if isinstance(answer, Undecodable):
            raise answer
        return Labelled(
            self._server,
            best(answer.scores, self._card.labels, top_k),
            answer.photo.width,
            answer.photo.height,
            answer.photo.format,
            answer.model_ms,
        )

    def _answer(self, loads: Sequence[Load], alone: bool) -> list[Scored | Undecodable]:
        """One an image: what is wrong with one is not its neighbours' trouble."""
        seen = [_seen(load) for load in loads]
        photos = [photo for photo in seen if isinstance(photo, Photo)]
        if not photos:
            return [each for each in seen if isinstance(each, Undecodable)]
        started = time.perf_counter()
        scores = iter(self._engine(np.stack([photo.pixels for photo in photos]), alone))
        model_ms = round((time.perf_counter() - started) * 1000, 1)
        return [
            Scored(each, next(scores), model_ms) if isinstance(each, Photo) else each
            for each in seen
        ]


def _seen(load: Load) -> Photo | Undecodable:
    try:
        return load()
    except Undecodable as refusal:
        return refusal


def best(scores: NDArray[np.float32], labels: Sequence[str], top_k: int) -> tuple[Label, ...]:
    """Best first; equal scores in the order of the card."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(Label(labels[index], round(float(scores[index]), 6)) for index in order)
