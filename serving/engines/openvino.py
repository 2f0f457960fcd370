"""OpenVINO on the CPU, in the precision on the card, with all cores.

Under load each batch is computed by one core, on the calling thread; a single image by all cores.
Every batch size is compiled before the first request, once for each core. A compiled model that is
shared between cores would run on OpenVINO's own threads, and two threads would at times wait for
one core while another is idle. It costs a copy of the weights for each core.
"""

import queue
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from domain.model import MOST_FEATURES, Compiled, Precision, Preprocessing
from serving.archive import Archive, ModelLoadError
from serving.engines.batches import batch_sizes, split_batch
from serving.engines.outputs import Outputs, concatenate
from serving.preprocess import Pixels

# Without this, importing OpenVINO sends telemetry over the network.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402
from openvino.preprocess import PrePostProcessor  # noqa: E402

# At import, because the first conversion of an array is not thread-safe: it imports NumPy, releases
# the GIL meanwhile, and two threads can deadlock.
openvino.Tensor(np.zeros(1, np.uint8))

__all__ = ["OpenVino", "add_preprocessing", "openvino"]  # imported here, telemetry is off

FEATURES = "features"
"""The name of the network's second output, if it has one."""

RequestPool = queue.SimpleQueue[openvino.InferRequest]
"""Idle inference requests."""


class OpenVino:
    """An engine on the CPU."""

    def __init__(self, archive: Archive, compiled: Compiled, threads: int, max_batch: int) -> None:
        """Raises ModelLoadError if OpenVINO cannot load the network."""
        core = openvino.Core()
        layers, values = archive.openvino(compiled)
        preprocessing = archive.card.preprocessing
        hint = {"INFERENCE_PRECISION_HINT": _precision_hint(core, compiled.precision)}
        try:
            network = add_preprocessing(core.read_model(layers, values), preprocessing)
            request = partial(_compile_request, core, network, preprocessing.crop)
            with ThreadPoolExecutor(threads) as pool:  # the compiler uses one core
                shared = {
                    size: [
                        pool.submit(request, size, _config_for(1) | hint) for _ in range(threads)
                    ]
                    for size in batch_sizes(max_batch)
                }
                exclusive = pool.submit(request, 1, _config_for(threads) | hint)
            self._shared_requests = {
                size: _collect_requests(requests) for size, requests in shared.items()
            }
            self._exclusive_request = _collect_requests([exclusive])
            self._check_outputs(preprocessing.crop, len(archive.card.labels))
        except (RuntimeError, IndexError, ValueError, TypeError, OverflowError) as error:
            # C++ exceptions arrive as one of these; an untrusted network may cause any of them.
            reason = [type(error).__name__, *str(error).strip().splitlines()][-1]
            raise ModelLoadError(f"OpenVINO cannot load the model: {reason}") from error

    def _check_outputs(self, crop: int, labels: int) -> None:
        """Raises ValueError unless the network returns one float32 score per label, and features,
        if any, as one row of float32 for each image."""
        for size in self._shared_requests:
            outputs = self(np.zeros((size, crop, crop, 3), np.uint8), False)
            scores, features = outputs.scores, outputs.features
            if scores.shape != (size, labels) or scores.dtype != np.float32:
                raise ValueError(f"it answers {scores.dtype} {scores.shape} for {size} images")
            if features is not None and not (
                features.shape[:-1] == (size,)
                and 1 <= features.shape[1] <= MOST_FEATURES
                and features.dtype == np.float32
            ):
                raise ValueError(f"its features are {features.dtype} {features.shape}")

    def __call__(self, pixels: Pixels, exclusive: bool) -> Outputs:
        if exclusive and len(pixels) == 1:
            return _infer(self._exclusive_request, pixels)
        parts = split_batch(pixels, self._shared_requests)
        return concatenate(_infer(self._shared_requests[len(part)], part) for part in parts)


def add_preprocessing(network: openvino.Model, preprocessing: Preprocessing) -> openvino.Model:
    """The network with preprocessing: its input is uint8 pixels, (images, crop, crop, 3)."""
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(openvino.Type.u8)
    steps.input().tensor().set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(
        [255 * mean for mean in preprocessing.mean]
    ).scale([255 * std for std in preprocessing.std])
    return steps.build()


def _precision_hint(core: openvino.Core, precision: Precision) -> str:
    """The precision of layers that are not int8: bf16 only if the processor supports it."""
    native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if native and precision != "fp32" else "f32"


def _config_for(cores: int) -> dict[str, Any]:
    """The configuration for a number of cores. Threads are not pinned: two processes that pin
    theirs would share one core and leave others idle."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": cores,
        "ENABLE_CPU_PINNING": False,
    }


def _compile_request(
    core: openvino.Core, network: openvino.Model, crop: int, size: int, config: dict[str, Any]
) -> openvino.InferRequest:
    """Compile the network for a batch size, and run it once, which allocates its memory."""
    sized = network.clone()  # shares the values
    sized.reshape([size, crop, crop, 3])
    request = core.compile_model(sized, "CPU", config).create_infer_request()
    request.infer({0: np.zeros((size, crop, crop, 3), np.uint8)})
    return request


def _collect_requests(requests: "Iterable[Future[openvino.InferRequest]]") -> RequestPool:
    idle: RequestPool = queue.SimpleQueue()
    for request in requests:
        idle.put(request.result())
    return idle


def _infer(idle: RequestPool, pixels: Pixels) -> Outputs:
    with _borrow(idle) as request:
        request.infer({0: pixels}, share_inputs=True)
        scores = np.array(request.get_output_tensor(0).data)
        if len(request.model_outputs) == 1:
            return Outputs(scores, None)
        return Outputs(scores, np.array(request.get_tensor(FEATURES).data))


@contextmanager
def _borrow(idle: RequestPool) -> Iterator[openvino.InferRequest]:
    request = idle.get()
    try:
        yield request
    finally:
        idle.put(request)
