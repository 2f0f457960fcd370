"""Engines: compute probabilities and features for a batch of cropped images.

An engine computes what the network gives; the temperature of the card is applied to it here, by the
same code for every engine, in serving and in training.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serving import hardware
from serving.archive import Archive, ModelLoadError
from serving.engines.outputs import Outputs
from serving.preprocess import Pixels
from serving.settings import EngineChoice, Settings

Engine = Callable[[Pixels, bool], Outputs]
"""(images, crop, crop, 3) uint8 pixels to scores and features, from one pass of the network.

Thread-safe. The second argument is True if no other thread is calling it.
"""


NO_TORCH_MESSAGE = (
    "this model needs PyTorch (its archive brings no OpenVINO files, or SORTBOX_ENGINE is torch), "
    "which this image leaves out; serve it by the `cpu` variant of the image"
)


def create_engine(archive: Archive, settings: Settings, threads: int) -> Engine:
    """Create the engine for a model, with the temperature of its card.

    Raises ModelLoadError, and UnusableGpuError for a GPU that cannot be used.
    """
    return with_temperature(_create_network(archive, settings, threads), archive.card.temperature)


def with_temperature(engine: Engine, temperature: float | None) -> Engine:
    """The engine, followed by `divide_logits`; None: the engine itself."""
    if temperature is None:
        return engine

    def divided(pixels: Pixels, exclusive: bool) -> Outputs:
        outputs = engine(pixels, exclusive)
        return Outputs(divide_logits(outputs.scores, temperature), outputs.features)

    return divided


def divide_logits(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Temperature scaling (Guo et al., 2017): what softmax gives for logits / temperature.

    (images, labels) to the same; the order of labels stays. In float64, because in float32 two
    neighbouring numbers could become equal, and the first label would win.
    """
    rows = probabilities.astype(np.float64)
    rows /= rows.max(1, keepdims=True)
    rows **= 1 / temperature
    rows /= rows.sum(1, keepdims=True)
    return rows


def _create_network(archive: Archive, settings: Settings, threads: int) -> Engine:
    """Only the chosen engine is imported, as torch takes seconds."""
    compiled = archive.card.openvino
    if settings.engine == "openvino" and compiled is None:
        raise ModelLoadError(
            "SORTBOX_ENGINE is openvino, which this model's archive does not bring"
        )
    has_gpu = partial(hardware.has_gpu, settings.requires_gpu)
    match select_engine(settings.engine, compiled is not None, has_gpu):
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
                raise ModelLoadError(NO_TORCH_MESSAGE) from error

            return PyTorch(archive, threads)


def select_engine(
    choice: EngineChoice, compiled: bool, has_gpu: Callable[[], bool]
) -> Literal["gpu", "openvino", "cpu"]:
    """The engine to use: PyTorch on a GPU if there is one, else OpenVINO if the archive has it."""
    if choice != "openvino" and has_gpu():
        return "gpu"
    return "openvino" if compiled and choice != "torch" else "cpu"
