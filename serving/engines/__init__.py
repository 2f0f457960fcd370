"""Engines: from a batch of cropped pixels to probabilities."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from serving.archive import Archive, ModelError
from serving.preprocess import Pixels
from serving.settings import Settings

Engine = Callable[[Pixels, bool], NDArray[np.float32]]
"""(images, crop, crop, 3) pixels to (images, labels) probabilities.

Many threads may call it at once. The second argument says that nobody else does just now.
"""


def choose(archive: Archive, settings: Settings, threads: int) -> Engine:
    """Imports the one that is chosen: torch takes seconds, and OpenVINO needs none of it.

    Raises ModelError.
    """
    compiled = archive.card.openvino
    if settings.engine == "openvino" and compiled is None:
        raise ModelError("SORTBOX_ENGINE is openvino, which this model's archive does not bring")
    if compiled is None or settings.engine == "torch":
        from serving.engines.pytorch import PyTorch

        return PyTorch(archive, threads)
    from serving.engines.openvino import OpenVino

    return OpenVino(archive, compiled, threads, settings.max_batch)
