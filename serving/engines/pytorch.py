"""PyTorch. On the CPU in fp32: the same answers wherever it runs, and ready in seconds.

Channels last is 1.1 to 2 times as fast as PyTorch's own order for EfficientNet-Lite0 on AVX-512.
bf16 autocast would be 1.4 to 1.9 times as fast again, but changes the top label of about one image
in fifty, and does so only on processors that have it: what serves would not be what was judged.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import nn

from domain.model import Preprocessing
from serving import preprocess
from serving.archive import Archive, ModelLoadError
from serving.networks import create_network
from serving.preprocess import Pixels


class PyTorch:
    """(images, crop, crop, 3) pixels to (images, labels) probabilities."""

    def __init__(self, archive: Archive, threads: int) -> None:
        """Raises ModelLoadError where the weights do not fit the card's network exactly."""
        self._threads = threads
        self._network = PixelNetwork(load_network(archive), archive.card.preprocessing)

    def __call__(self, pixels: Pixels, exclusive: bool) -> NDArray[np.float32]:
        """In a crowd each calling thread computes by itself; a lone image has every core."""
        torch.set_num_threads(self._threads if exclusive else 1)  # of this thread
        with torch.inference_mode():
            scores: NDArray[np.float32] = self._network(torch.from_numpy(pixels)).numpy()
        return scores


class PixelNetwork(nn.Module):
    """The network from uint8 (images, crop, crop, 3) to probabilities, on any device.

    Pixels as they lie in an image are channels last already: no byte is moved.
    """

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(
        self, network: nn.Module, card_preprocessing: Preprocessing, bf16: bool = False
    ) -> None:
        super().__init__()
        scale, offset = preprocess.scale_and_offset(card_preprocessing)
        self.register_buffer("scale", torch.from_numpy(scale))
        self.register_buffer("offset", torch.from_numpy(offset))
        self.network = network.eval().to(memory_format=torch.channels_last)
        self._bf16 = bf16

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        inputs = (pixels * self.scale - self.offset).permute(0, 3, 1, 2)
        # A cache of rounded weights would not outlive a graph's capture.
        with torch.autocast(
            pixels.device.type, torch.bfloat16, enabled=self._bf16, cache_enabled=False
        ):
            scores: torch.Tensor = self.network(inputs)
        return scores.float().softmax(dim=1)


def load_network(archive: Archive) -> nn.Module:
    """Raises ModelLoadError where the weights do not fit the card's network exactly."""
    weights = archive.weights()
    try:
        network = create_network(archive.card.architecture, len(archive.card.labels))
        network.load_state_dict(load_safetensors(weights), strict=True)
    except (ValueError, SafetensorError) as error:
        raise ModelLoadError(f"the model cannot be loaded: {error}") from error
    except RuntimeError as error:  # load_state_dict lists every key; the first says enough
        reason = str(error).splitlines()[:2]
        raise ModelLoadError(f"the weights do not fit the network: {' '.join(reason)}") from error
    return network
