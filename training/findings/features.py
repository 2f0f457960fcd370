"""What the bundled network sees in the images, for every check that compares content.

Does not import torch. A table has a row of 1,280 half-precision features for each image, in a file
that is mapped into memory: 2.6 GB for a million images.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving import preprocess
from serving.engines.openvino import openvino
from serving.preprocess import Pixels
from training.model import bundled, lite0_graph

FEATURES = 1280

IMAGES_PER_PASS = 32

PREPROCESSING = bundled.PREPROCESSING

FeatureTable = NDArray[np.float16]
"""(N, FEATURES): each row has length 1, so that a product of two is their similarity."""

Extract = Callable[[Sequence[Pixels]], FeatureTable]
"""Crops, as `serving.preprocess.crop` makes them, to their rows."""


def make_extract() -> Extract:
    core = openvino.Core()
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    request = core.compile_model(
        lite0_graph.features_graph(bundled.weights(), PREPROCESSING.crop),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "bf16" if has_bf16 else "f32", "ENABLE_CPU_PINNING": False},
    ).create_infer_request()

    def extract(crops: Sequence[Pixels]) -> FeatureTable:
        parts = []
        for start in range(0, len(crops), IMAGES_PER_PASS):
            pixels = np.stack(crops[start : start + IMAGES_PER_PASS])
            inputs = preprocess.normalise(pixels, PREPROCESSING)  # (B, 3, H, W)
            values = request.infer({0: np.ascontiguousarray(inputs)})[0]  # (B, FEATURES)
            # The root evens out the few features that would decide alone.
            rows = np.sqrt(np.maximum(values, 0))
            parts.append(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))
        table: FeatureTable = np.concatenate(parts).astype(np.float16)
        return table

    return extract


def make_table(path: Path, count: int) -> FeatureTable:
    """Empty, in a new file."""
    return np.memmap(path, np.float16, "w+", shape=(count, FEATURES))
