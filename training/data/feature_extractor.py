"""The fastest inference engine for a frozen network: OpenVINO on a CPU, torch on a GPU."""

import sys
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from serving.preprocess import Inputs
from training.data.features import IMAGES_PER_PASS, Extract, Rows

if TYPE_CHECKING:
    from openvino import InferRequest
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

IMAGES_PER_REQUEST = 4
"""Of a pass, which several requests share: all cores on one of them would wait for each other after
every layer, and longest where images are decoded meanwhile."""


def make_extractor(
    network: nn.Module, side: int, device: torch.device, exact: bool
) -> tuple[Extract, str]:
    """A function that runs `network` on squares of `side`, and the engine's name for the log.

    `exact`: in fp32; else in the precision in which the hardware is fastest.
    """
    network.eval()
    if device.type == "cpu" and find_spec("openvino"):
        return _openvino(network, side, exact)
    return _torch(network.to(device).to(memory_format=torch.channels_last), device, exact)


def _torch(network: nn.Module, device: torch.device, exact: bool) -> tuple[Extract, str]:
    half = device.type == "cuda" and not exact

    def extract(inputs: Inputs) -> Rows:
        with torch.inference_mode(), torch.autocast(device.type, enabled=half):
            rows: torch.Tensor = network(torch.from_numpy(inputs).to(device))
        return rows.float().cpu().numpy()

    return extract, f"torch {'fp16' if half else 'fp32'}"


def _openvino(network: nn.Module, side: int, exact: bool) -> tuple[Extract, str]:
    """In bf16, if the processor has it, nine times as fast as torch in fp32. Not thread-safe."""
    # Without this, importing OpenVINO sends telemetry over the network.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    from openvino.frontend import FrontEndManager

    decoder = trace(network, side)
    frontend = FrontEndManager().load_by_framework("pytorch")
    core = openvino.Core()
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precision = "bf16" if has_bf16 and not exact else "f32"
    threads = torch.get_num_threads()
    streams = min(threads, IMAGES_PER_PASS // IMAGES_PER_REQUEST)
    compiled = core.compile_model(
        frontend.convert(frontend.load(decoder)),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "ENABLE_CPU_PINNING": False,
        },
    )
    requests = openvino.AsyncInferQueue(compiled, streams)

    def extract(inputs: Inputs) -> Rows:
        parts: dict[int, Rows] = {}

        def keep(request: "InferRequest", start: int) -> None:
            parts[start] = np.array(request.get_output_tensor(0).data)

        requests.set_callback(keep)
        for start in range(0, len(inputs), IMAGES_PER_REQUEST):
            part = np.ascontiguousarray(inputs[start : start + IMAGES_PER_REQUEST])
            requests.start_async({0: part}, start)
        requests.wait_all()
        return np.concatenate([parts[start] for start in sorted(parts)])

    return extract, f"openvino {precision}"


def trace(network: nn.Module, side: int) -> "TorchScriptPythonDecoder":
    """The network as OpenVINO reads it. `network.eval()` comes first.

    PyTorch's check of a trace runs the network three times more, which takes longer than all the
    rest, and ends in a warning at most: what comes of the conversion is compared with PyTorch.
    """
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls tracing deprecated
        return TorchScriptPythonDecoder(
            network,
            example_input=(torch.zeros(2, 3, side, side),),
            trace_kwargs={"check_trace": False},
        )
