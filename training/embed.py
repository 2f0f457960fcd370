"""The fastest engine there is for a network that only looks: OpenVINO on a CPU, torch on a GPU."""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import torch
from torch import nn

from serving.preprocess import Inputs
from training.features import Embed, Rows


def embed_by(network: nn.Module, side: int, device: torch.device) -> tuple[Embed, str]:
    """`network` without its head, for squares of `side`; and the engine's name, for the log."""
    network.eval()
    if device.type == "cpu" and find_spec("openvino"):
        return _openvino(network, side)
    return _torch(
        network.to(device).to(memory_format=torch.channels_last), device
    ), f"torch {device}"


def _torch(network: nn.Module, device: torch.device) -> Embed:
    half = device.type == "cuda"

    def embed(inputs: Inputs) -> Rows:
        with torch.inference_mode(), torch.autocast(device.type, enabled=half):
            rows: torch.Tensor = network(torch.from_numpy(inputs).to(device))
        return rows.float().cpu().numpy()

    return embed


def _openvino(network: nn.Module, side: int) -> tuple[Embed, str]:
    """bf16 where the processor multiplies it, nine times as fast as torch in fp32."""
    # Without this, importing OpenVINO tells its maker so over the network.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with _traced():
        decoder = TorchScriptPythonDecoder(network, example_input=(torch.zeros(2, 3, side, side),))
    frontend = FrontEndManager().load_by_framework("pytorch")
    core = openvino.Core()
    precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
    request = core.compile_model(
        frontend.convert(frontend.load(decoder)),
        "CPU",
        {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()},
    ).create_infer_request()

    def embed(inputs: Inputs) -> Rows:
        return np.array(request.infer({0: np.ascontiguousarray(inputs)})[0])

    return embed, f"openvino {precision}"


@contextlib.contextmanager
def _traced() -> Iterator[None]:
    """OpenVINO reads a torch network by tracing it, which torch calls deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
