"""PyTorch on a GPU: one CUDA graph per batch size, captured before the first request.

Replaying a graph is one launch instead of about 160 kernels for ResNet-50, whose launches dominate
small batches. Written from PyTorch's documentation (docs.pytorch.org/docs/stable/notes/cuda.html)
and never run.
"""

from dataclasses import dataclass
from threading import Lock

import torch

from domain.model import Compiled
from serving.archive import Archive
from serving.engines.batches import batch_sizes, split_batch
from serving.engines.outputs import Outputs, concatenate
from serving.engines.pytorch import PixelNetwork, load_network
from serving.preprocess import Pixels

WARM_UP_RUNS = 3
"""Runs before a capture, in which cuDNN selects kernels; that is not allowed during a capture."""


class Cuda:
    """An engine on a GPU, which serves one caller at a time."""

    def __init__(self, archive: Archive, max_batch: int) -> None:
        """Raises ModelLoadError if the weights do not match the card's network exactly."""
        card = archive.card
        bf16 = allows_bf16(card.openvino) and torch.cuda.is_bf16_supported()
        network = PixelNetwork(load_network(archive), card.preprocessing, bf16).cuda()
        crop = card.preprocessing.crop
        self._graphs = {size: _capture(network, size, crop) for size in batch_sizes(max_batch)}
        self._lock = Lock()

    def __call__(self, pixels: Pixels, exclusive: bool) -> Outputs:
        with self._lock, torch.inference_mode():
            return concatenate(
                self._graphs[len(part)].replay(part) for part in split_batch(pixels, self._graphs)
            )


def allows_bf16(compiled: Compiled | None) -> bool:
    """Whether to use bf16: if the model was accepted in int8 or bf16, as bf16 is closer to fp32."""
    return compiled is not None and compiled.precision != "fp32"


@dataclass(frozen=True, slots=True)
class _Graph:
    """A captured graph, with its fixed input and outputs in the GPU's memory."""

    graph: torch.cuda.CUDAGraph
    pixels: torch.Tensor
    scores: torch.Tensor
    features: torch.Tensor | None

    def replay(self, pixels: Pixels) -> Outputs:
        self.pixels.copy_(torch.from_numpy(pixels))
        self.graph.replay()
        features = None if self.features is None else self.features.cpu().numpy()
        return Outputs(self.scores.cpu().numpy(), features)  # waits for the GPU


def _capture(network: PixelNetwork, size: int, crop: int) -> _Graph:
    pixels = torch.zeros((size, crop, crop, 3), dtype=torch.uint8, device="cuda")
    side_stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side_stream.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode():
        with torch.cuda.stream(side_stream):
            for _ in range(WARM_UP_RUNS):
                network(pixels)
        torch.cuda.current_stream().wait_stream(side_stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            scores, features = network(pixels)
    return _Graph(graph, pixels, scores, features)
