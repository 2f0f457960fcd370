"""What no server can beat: decoding alone, and the network alone, on all cores."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domain.model import ModelCard, Preprocessing
from serving import hardware, preprocess
from serving.archive import Archive
from serving.decoding.decode import decode
from serving.engines.openvino import OpenVino
from serving.preprocess import Pixels

SECONDS = 4.0
BATCH = 4


@dataclass(frozen=True, slots=True)
class Bare:
    decode_rate: float
    network_rate: float
    combined_rate: float
    """Both on the same cores, one after the other: 1 / (1 / decode + 1 / network)."""
    decode_ms: float
    alone_ms: float
    """One image by all cores at once."""


def measure(model: Path, bodies: Sequence[bytes]) -> Bare:
    card = ModelCard.from_json((model / "card.json").read_text())
    numbers, cores = card.preprocessing, hardware.available_processors()
    assert card.openvino is not None
    engine = OpenVino(Archive(card, model), card.openvino, cores, BATCH)
    pixels_of = decoder(numbers, bodies)
    batch = np.stack([pixels_of(number) for number in range(BATCH)])
    decodes = rate(pixels_of, cores)
    networks = BATCH * rate(lambda number: engine(batch, False), cores)
    return Bare(
        decodes,
        networks,
        1 / (1 / decodes + 1 / networks),
        1000 / rate(pixels_of, 1),
        1000 / rate(lambda number: engine(batch[:1], True), 1),
    )


def decoder(numbers: Preprocessing, bodies: Sequence[bytes]) -> Callable[[int], Pixels]:
    """From an image's number to what the network takes."""

    def pixels_of(number: int) -> Pixels:
        side = preprocess.shorter_side(numbers)
        pixels = decode(bodies[number % len(bodies)], 10**8, side).pixels
        return preprocess.crop(pixels, numbers)

    return pixels_of


def rate(work: Callable[[int], object], threads: int) -> float:
    """Calls a second, from so many threads."""
    end = time.perf_counter() + SECONDS

    def loop(first: int) -> int:
        number = first
        while time.perf_counter() < end:
            work(number)
            number += threads
        return (number - first) // threads

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(loop, range(threads)))
    return done / (time.perf_counter() - began)
