"""Real networks with random weights: importing torch takes seconds."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from domain.model import ModelCard, Preprocessing
from serving import hardware
from serving.archive import Archive, ModelLoadError
from serving.engines.outputs import concatenate

pytestmark = pytest.mark.slow

HEADS = {
    "efficientnet_lite0": "_fc",
    "efficientnet_lite1_lite2": "head",
    "resnet18": "fc",
}

CARD = ModelCard(
    name="pets",
    architecture="efficientnet_lite0",
    labels=("cat", "dog", "bird"),
    preprocessing=Preprocessing(32, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    weights_sha256="",
)


def archive(folder: Path, card: ModelCard, outputs: int | None = None) -> Archive:
    from safetensors.torch import save

    from serving.networks import create_network

    weights = save(create_network(card.architecture, outputs or len(card.labels)).state_dict())
    return of(folder, card, weights)


def of(folder: Path, card: ModelCard, weights: bytes) -> Archive:
    (folder / "weights.safetensors").write_bytes(weights)
    return Archive(replace(card, weights_sha256=hashlib.sha256(weights).hexdigest()), folder)


@pytest.mark.parametrize(
    ("architecture", "features"),
    [
        ("efficientnet_lite0", 1280),
        ("efficientnet_lite1_lite2", 2560),
        ("resnet18", 512),
        ("squeezenet1_1", None),
    ],
)
def test_a_network_answers_each_image_with_probabilities_and_features(
    architecture: str, features: int | None, tmp_path: Path
) -> None:
    """SqueezeNet ends in a convolution, whose input is no row of numbers."""
    from serving.engines.pytorch import PyTorch

    engine = PyTorch(archive(tmp_path, replace(CARD, architecture=architecture)), threads=2)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    outputs = engine(pixels, False)
    assert outputs.scores.shape == (4, 3)
    assert outputs.scores.dtype == np.float32
    assert np.allclose(outputs.scores.sum(axis=1), 1, atol=1e-5)
    one_by_one = concatenate(engine(pixels[at : at + 1], True) for at in range(4))
    assert np.allclose(outputs.scores, one_by_one.scores, atol=1e-5)
    if features is None:
        assert outputs.features is one_by_one.features is None
    else:
        assert outputs.features is not None
        assert one_by_one.features is not None
        assert (outputs.features.shape, outputs.features.dtype) == ((4, features), np.dtype("f4"))
        assert np.allclose(outputs.features, one_by_one.features, atol=1e-4)
        weight, bias = (
            load_file(tmp_path / "weights.safetensors")[f"{HEADS[architecture]}.{kind}"]
            for kind in ("weight", "bias")
        )
        logits = outputs.features @ weight.T + bias
        assert np.allclose(
            np.exp(logits) / np.exp(logits).sum(1, keepdims=True), outputs.scores, atol=1e-5
        )


@pytest.mark.parametrize(
    ("architecture", "outputs", "reported"),
    [
        ("efficientnet_lite0", 4, "size mismatch for _fc"),
        ("squeezenet1_1", 3, "Mis"),
        ("resnet9000", 3, "'resnet9000' is neither"),
        ("fcn_resnet50", 3, "is neither"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_a_sentence(
    architecture: str, outputs: int, reported: str, tmp_path: Path
) -> None:
    from serving.engines.pytorch import PyTorch

    stored = archive(tmp_path, CARD, outputs)
    loaded = Archive(replace(stored.card, architecture=architecture), tmp_path)
    with pytest.raises(ModelLoadError, match=reported) as refusal:
        PyTorch(loaded, threads=1)
    assert "\n" not in str(refusal.value)


def safetensors(header: str, data: bytes = b"", length: int | None = None) -> bytes:
    size = len(header.encode()) if length is None else length
    return size.to_bytes(8, "little") + header.encode() + data


BIAS = '"_fc.bias":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}}'
HOSTILE = {
    "nothing": b"",
    "no safetensors": b"no safetensors",
    "a header without end": safetensors("{}", length=2**63),
    "a header larger than the file": safetensors("{}", length=2**20),
    "deep JSON": safetensors("[" * 100_000),
    "a name twice": safetensors(f"{{{BIAS.format(1, 0, 4)},{BIAS.format(1, 0, 4)}}}", bytes(4)),
    "tensors that overlap": safetensors(
        f"{{{BIAS.format(1, 0, 4)},{BIAS.format(1, 0, 4).replace('bias', 'weight')}}}", bytes(4)
    ),
    "values beyond the file": safetensors(f"{{{BIAS.format(2, 0, 8)}}}", bytes(4)),
    "values before the file": safetensors(f"{{{BIAS.format(1, -4, 0)}}}", bytes(4)),
    "fewer values than its shape": safetensors(f"{{{BIAS.format(2**40, 0, 4)}}}", bytes(4)),
    "a shape that overflows": safetensors(
        f"{{{BIAS.format('4294967296,4294967296', 0, 4)}}}", bytes(4)
    ),
    "another shape": safetensors(f"{{{BIAS.format(1, 0, 4)}}}", bytes(4)),
    "data that no tensor has": safetensors(f"{{{BIAS.format(1, 0, 4)}}}", bytes(400)),
}


@pytest.mark.parametrize("weights", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_weights_are_refused_with_a_sentence(weights: bytes, tmp_path: Path) -> None:
    """The library's own bounds, which training, serving and the judge rely on."""
    from serving.engines.pytorch import PyTorch

    with pytest.raises(ModelLoadError, match=r"cannot be loaded|do not fit"):
        PyTorch(of(tmp_path, CARD, weights), threads=1)


def test_bf16_answers_nearly_as_fp32_does(tmp_path: Path) -> None:
    import torch

    from serving.engines.pytorch import PixelNetwork, load_network

    stored = archive(tmp_path, CARD)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8))
    exact = PixelNetwork(load_network(stored), CARD.preprocessing)
    rounded = PixelNetwork(load_network(stored), CARD.preprocessing, bf16=True)
    with torch.inference_mode():
        (single, features), (other, rough) = exact(pixels), rounded(pixels)
    assert features.dtype == rough.dtype == torch.float32
    assert other.dtype == torch.float32
    assert not torch.equal(single, other), "nothing was rounded"
    assert torch.allclose(single, other, atol=0.02)


def test_the_network_sees_what_the_one_preprocessing_makes_channels_last(tmp_path: Path) -> None:
    import torch

    from serving import preprocess
    from serving.engines.pytorch import PixelNetwork

    reports: list[torch.Tensor] = []

    class Eye(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            reports.append(inputs)
            return inputs.mean(dim=(2, 3))

    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    PixelNetwork(Eye(), CARD.preprocessing)(torch.from_numpy(pixels))
    assert np.array_equal(reports[0].numpy(), preprocess.normalise(pixels, CARD.preprocessing))
    assert reports[0].is_contiguous(memory_format=torch.channels_last)


def test_a_gpu_answers_as_the_cpu_does(tmp_path: Path) -> None:
    if not hardware.has_gpu():
        pytest.skip("there is no GPU on this machine")
    from serving.engines.cuda import Cuda
    from serving.engines.pytorch import PyTorch

    stored = archive(tmp_path, CARD)
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)
    on_cpu, on_gpu = (
        PyTorch(stored, threads=2)(pixels, True),
        Cuda(stored, max_batch=4)(pixels, False),
    )
    assert np.allclose(on_cpu.scores, on_gpu.scores, atol=1e-2)
    assert on_cpu.features is not None
    assert on_gpu.features is not None
    assert np.allclose(on_cpu.features, on_gpu.features, atol=1e-2)
