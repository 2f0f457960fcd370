"""Reads every image of a data set once, for what its check compares: the picture and its features.

A training has done both already, see `training.findings.in_training`. Imports OpenVINO, which the
image for GPUs lacks, and not torch.
"""

import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from serving import preprocess
from serving.engines.openvino import add_preprocessing, openvino
from serving.preprocess import Pixels
from training.data.dataset import Dataset
from training.data.reading import read_example
from training.findings.features import FeatureTable, make_table, normalise
from training.findings.pictures import MEASURED_SIDE, PictureTable
from training.model import bundled, lite0_graph

MAX_THREADS = 16
"""Each has its own buffers for the network, some 20 MB."""

IMAGES_AT_ONCE = 256
"""Queued for the threads."""

IMAGES_PER_PASS = 4
"""Of one core. More at once are no faster, and all cores on one pass wait for each other."""

PREPROCESSING = bundled.PREPROCESSING

Extract = Callable[[Sequence[Pixels]], FeatureTable]
"""Crops, as `serving.preprocess.crop` makes them, to their rows."""


def measure_dataset(
    dataset: Dataset, table: Path, on_progress: Callable[[int, int], None]
) -> tuple[PictureTable, FeatureTable]:
    """With the features of the bundled network, in the file `table`. Decodes reduced.

    `on_progress(completed, total)` may raise. Raises TrainingFailed.
    """
    threads = min(os.cpu_count() or 1, MAX_THREADS)
    extract = make_extract(threads)
    side = max(MEASURED_SIDE, preprocess.shorter_side(PREPROCESSING))
    pictures = PictureTable.of(dataset)
    count = len(pictures.examples)
    features = make_table(table, count)

    def measure(rows: range) -> None:
        """The images of one pass of the network."""
        crops = []
        for row in rows:
            decoded = read_example(dataset, pictures.examples[row][1], side)
            pictures.record(row, decoded)
            crops.append(preprocess.crop(decoded.pixels, PREPROCESSING))
        features[rows.start : rows.stop] = extract(crops)

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, count, IMAGES_AT_ONCE):
            stop = min(start + IMAGES_AT_ONCE, count)
            passes = [
                range(first, min(first + IMAGES_PER_PASS, stop))
                for first in range(start, stop, IMAGES_PER_PASS)
            ]
            for _ in pool.map(measure, passes):
                pass
            on_progress(stop, count)
    return pictures, features


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
        return normalise(values)

    return extract
