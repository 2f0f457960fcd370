"""PyTorch on the CPU, in fp32, with the same results on every machine.

Channels-last memory is 1.1 to 2 times as fast as PyTorch's default for EfficientNet-Lite0 on
AVX-512. bf16 autocast would be another 1.4 to 1.9 times as fast, but it changes the top label of
about one image in fifty, and only on processors that support it, so that the served model would
differ from the evaluated one.
"""

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import nn

from domain.model import Preprocessing
from serving import preprocess
from serving.archive import Archive, ModelLoadError
from serving.engines.outputs import Outputs
from serving.networks import SplitNetwork, create_network
from serving.preprocess import Pixels


class PyTorch:
    """An engine on the CPU."""

    def __init__(self, archive: Archive, threads: int) -> None:
        """Raises ModelLoadError if the weights do not match the card's network exactly."""
        self._threads = threads
        self._network = PixelNetwork(load_network(archive), archive.card.preprocessing)

    def __call__(self, pixels: Pixels, exclusive: bool) -> Outputs:
        """Under load each calling thread computes alone; a single image uses all cores."""
        torch.set_num_threads(self._threads if exclusive else 1)  # of this thread
        with torch.inference_mode():
            scores, features = self._network(torch.from_numpy(pixels))
        return Outputs(scores.numpy(), None if features is None else features.numpy())


class PixelNetwork(nn.Module):
    """A network with preprocessing and softmax, on any device.

    (images, crop, crop, 3) uint8 to scores (images, labels) and features (images, features), both
    float32; None where the network has no features. The input is channels-last in memory,
    so that no copy is needed.
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
        self.network = SplitNetwork(network).eval().to(memory_format=torch.channels_last)
        self._bf16 = bf16

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        inputs = (pixels * self.scale - self.offset).permute(0, 3, 1, 2)
        # A cache of rounded weights would not be valid after a graph's capture.
        with torch.autocast(
            pixels.device.type, torch.bfloat16, enabled=self._bf16, cache_enabled=False
        ):
            logits, features = self.network(inputs)
        return logits.float().softmax(dim=1), None if features is None else features.float()


def load_network(archive: Archive) -> nn.Module:
    """The card's network with its weights. Raises ModelLoadError if they do not match exactly."""
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
