"""From a request's body to replies: decode, wait in the batch, choose the best labels."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.model import ModelCard
from domain.reply import Label, Labelled, Server
from serving import arrays, preprocess
from serving.batcher import Batcher
from serving.decode import decode
from serving.preprocess import Pixels
from serving.settings import Settings

Engine = Callable[[Pixels], NDArray[np.float32]]
"""(images, crop, crop, 3) pixels to (images, labels) probabilities."""


@dataclass(frozen=True, slots=True)
class Photo:
    """All that is kept of an image while it waits: a crop of some 150 kB, never the whole."""

    pixels: Pixels
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Scored:
    scores: NDArray[np.float32]
    model_ms: float
    """How long the network took for the batch that this image was in."""


class Classifier:
    """Holds the threads: `max_decodes` that decode, and one that runs the network."""

    def __init__(self, card: ModelCard, engine: Engine, settings: Settings) -> None:
        self._card = card
        self._engine = engine
        self._settings = settings
        self._server = Server(str(settings.model_id), settings.container)
        self._decoders = ThreadPoolExecutor(settings.max_decodes, thread_name_prefix="decode")
        self._batcher = Batcher(
            self._score, settings.max_batch, settings.queue + settings.max_arrays
        )

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
            self._engine(np.zeros((count, side, side, 3), np.uint8))

    async def file(self, body: bytes, top_k: int) -> Labelled:
        """Raises Undecodable for the body, Full where too many wait."""
        loop = asyncio.get_running_loop()
        photo = await loop.run_in_executor(self._decoders, self._from_file, body)
        return await self._label(photo, top_k)

    async def array(self, body: bytes, top_k: int) -> Labelled | list[Labelled]:
        """Raises Undecodable for the body, Full where too many wait."""
        loop = asyncio.get_running_loop()
        photos = await loop.run_in_executor(self._decoders, self._from_array, body)
        if isinstance(photos, Photo):
            return await self._label(photos, top_k)
        return await asyncio.gather(*(self._label(photo, top_k) for photo in photos))

    def close(self) -> None:
        """Answers what is waiting, then ends the threads."""
        self._decoders.shutdown()
        self._batcher.close()

    def _from_file(self, body: bytes) -> Photo:
        numbers = self._card.preprocessing
        decoded = decode(body, self._settings.max_pixels, preprocess.shorter_side(numbers))
        pixels = preprocess.crop(decoded.image, numbers)
        return Photo(pixels, decoded.width, decoded.height, decoded.format)

    def _from_array(self, body: bytes) -> Photo | list[Photo]:
        match arrays.read(body, self._settings.max_pixels, self._settings.max_arrays):
            case arrays.One(image):
                return self._from_pixels(image)
            case arrays.Many(images):
                return [self._from_pixels(image) for image in images]

    def _from_pixels(self, image: Pixels) -> Photo:
        height, width, _ = image.shape
        pixels = preprocess.crop(Image.fromarray(image), self._card.preprocessing)
        return Photo(pixels, width, height, "npy")

    async def _label(self, photo: Photo, top_k: int) -> Labelled:
        scored = await asyncio.wrap_future(self._batcher.submit(photo.pixels))
        return Labelled(
            self._server,
            best(scored.scores, self._card.labels, top_k),
            photo.width,
            photo.height,
            photo.format,
            scored.model_ms,
        )

    def _score(self, calls: Sequence[Pixels]) -> list[Scored]:
        started = time.perf_counter()
        scores = self._engine(np.stack(calls))
        model_ms = round((time.perf_counter() - started) * 1000, 1)
        return [Scored(row, model_ms) for row in scores]


def best(scores: NDArray[np.float32], labels: Sequence[str], top_k: int) -> tuple[Label, ...]:
    """Best first; equal scores in the order of the card."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    return tuple(Label(labels[index], round(float(scores[index]), 6)) for index in order)
