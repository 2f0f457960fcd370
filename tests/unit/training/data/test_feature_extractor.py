import numpy as np
import pytest
import torch
from torch import nn

from training.data.feature_extractor import IMAGES_PER_REQUEST, make_extractor


@pytest.mark.slow
@pytest.mark.parametrize("images", [1, IMAGES_PER_REQUEST, 5 * IMAGES_PER_REQUEST + 1])
def test_rows_come_in_the_order_of_the_images(images: int) -> None:
    """Several requests share a pass, and none waits for the others."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    extract, _ = make_extractor(network, 16, torch.device("cpu"), exact=True)
    for seed in range(3):  # requests are used again
        inputs = np.random.default_rng(seed).normal(0, 1, (images, 3, 16, 16)).astype(np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(inputs)).numpy()
        assert np.abs(extract(inputs) - expected).max() < 1e-4
