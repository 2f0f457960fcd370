"""What the bundled network sees in the images, for every check that compares content.

Does not import torch. A table has a row of 1,280 half-precision features for each image, in a file
that is mapped into memory: 2.6 GB for a million images.
"""

import queue
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.engines.openvino import add_preprocessing, openvino
from serving.preprocess import Pixels
from training.model import bundled, lite0_graph

FEATURES = 1280

IMAGES_PER_PASS = 4
"""Of one core. More at once are no faster, and all cores on one pass wait for each other."""

PREPROCESSING = bundled.PREPROCESSING

FeatureTable = NDArray[np.float16]
"""(N, FEATURES): each row has length 1, so that a product of two is their similarity."""

Extract = Callable[[Sequence[Pixels]], FeatureTable]
"""Crops, as `serving.preprocess.crop` makes them, to their rows."""


def make_extract(threads: int) -> Extract:
    """For at most IMAGES_PER_PASS crops at a time, by as many threads at once."""
    core = openvino.Core()
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    side = PREPROCESSING.crop
    network = lite0_graph.features_graph(bundled.weights(), side)
    network = add_preprocessing(network, PREPROCESSING)
    network.reshape([IMAGES_PER_PASS, side, side, 3])
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if has_bf16 else "f32",
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    idle: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
    for _ in range(threads):
        idle.put(core.compile_model(network, "CPU", hints).create_infer_request())

    def extract(crops: Sequence[Pixels]) -> FeatureTable:
        pixels = np.zeros((IMAGES_PER_PASS, side, side, 3), np.uint8)
        pixels[: len(crops)] = np.stack(crops)
        request = idle.get()
        try:
            values = np.array(request.infer({0: pixels})[0][: len(crops)])  # (n, FEATURES)
        finally:
            idle.put(request)
        # The root evens out the few features that would decide alone.
        rows: NDArray[np.float32] = np.sqrt(np.maximum(values, 0))
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
        return rows.astype(np.float16)

    return extract


def make_table(path: Path, count: int) -> FeatureTable:
    """Empty, in a new file."""
    return np.memmap(path, np.float16, "w+", shape=(count, FEATURES))
