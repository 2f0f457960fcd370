"""Engines: from a batch of cropped pixels to probabilities."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serving import hardware
from serving.archive import Archive, ModelError
from serving.preprocess import Pixels
from serving.settings import EngineChoice, Settings

Engine = Callable[[Pixels, bool], NDArray[np.float32]]
"""(images, crop, crop, 3) pixels to (images, labels) probabilities.

Many threads may call it at once. The second argument says that nobody else does just now.
"""


NO_TORCH = (
    "this model needs PyTorch (its archive brings no OpenVINO files, or SORTBOX_ENGINE is torch), "
    "which this image leaves out; serve it by the `cpu` variant of the image"
)


def choose(archive: Archive, settings: Settings, threads: int) -> Engine:
    """Imports the one that is chosen: torch takes seconds, and OpenVINO needs none of it.

    Raises ModelError.
    """
    compiled = archive.card.openvino
    if settings.engine == "openvino" and compiled is None:
        raise ModelError("SORTBOX_ENGINE is openvino, which this model's archive does not bring")
    match place(settings.engine, compiled is not None, hardware.has_gpu):
        case "gpu":
            from serving.engines.cuda import Cuda

            return Cuda(archive, settings.max_batch)
        case "openvino" if compiled is not None:
            from serving.engines.openvino import OpenVino

            return OpenVino(archive, compiled, threads, settings.max_batch)
        case _:
            try:
                from serving.engines.pytorch import PyTorch
            except ModuleNotFoundError as error:
                if error.name != "torch":
                    raise
                raise ModelError(NO_TORCH) from error

            return PyTorch(archive, threads)


def place(
    asked: EngineChoice, compiled: bool, gpu: Callable[[], bool]
) -> Literal["gpu", "openvino", "cpu"]:
    """PyTorch on a GPU where there is one, else OpenVINO where the archive brings it."""
    if asked != "openvino" and gpu():
        return "gpu"
    return "openvino" if compiled and asked != "torch" else "cpu"
