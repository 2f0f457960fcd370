"""What is refused before anything is uploaded."""

import socket
from pathlib import Path
from typing import Any

import boto3
import pytest
import torch
from safetensors.torch import save_file

from infra.stage import Stage
from serving.networks import create_network
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.launch import job as launch
from training.launch.checks import check_download, check_instance_type, check_network
from training.model import pretrained

ONE_SMALL_IMAGE: dict[str, Any] = {"unfreeze": "all", "image_size": 32, "batch_size": 1}
"""Of which the last layers of a network that reduces images to 1/32 have one value per channel."""


class Site(Stage):
    def training_role(self) -> str:
        return "arn:aws:iam::111122223333:role/training"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (TrainConfig(arch="resnet5"), r"resnet34\?$"),
        (TrainConfig(arch="efficientnet_lite3"), "did you mean efficientnet_lite"),
        (TrainConfig(arch="nonsense"), "'nonsense' is neither efficientnet_lite0 nor"),
        (TrainConfig(arch="vit_b_16", image_size=100), "image-size: images of 100 x 100 pixels"),
        (TrainConfig(arch="inception_v3", image_size=64), "Use another image-size"),
        (TrainConfig(arch="resnet18", **ONE_SMALL_IMAGE), "1 image of 32 x 32 pixels at a time"),
        (TrainConfig(arch="squeezenet1_0"), "does not end in a linear layer"),
    ],
    ids=lambda value: value.arch if isinstance(value, TrainConfig) else "",
)
def test_a_network_that_cannot_be_trained_so_is_refused(config: TrainConfig, sentence: str) -> None:
    with pytest.raises(TrainingFailed, match=sentence):
        check_network(config)


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig(image_size=64),
        TrainConfig(arch="efficientnet_lite1_lite2", image_size=64),
        TrainConfig(arch="resnet50"),
        TrainConfig(arch="squeezenet1_0", unfreeze="all"),
        TrainConfig(arch="inception_v3", unfreeze="gradual"),
        TrainConfig(arch="resnet18", **ONE_SMALL_IMAGE | {"unfreeze": "head"}),
        TrainConfig(arch="resnet18", **ONE_SMALL_IMAGE | {"image_size": 64}),
        TrainConfig(arch="resnet18", **ONE_SMALL_IMAGE | {"batch_size": 2}),
        *(TrainConfig(arch=arch, **ONE_SMALL_IMAGE) for arch in ("vgg11", "vgg11_bn")),
        TrainConfig(arch="convnext_tiny", **ONE_SMALL_IMAGE),
    ],
    ids=lambda config: f"{config.arch} {config.unfreeze} {config.image_size} {config.batch_size}",
)
def test_a_network_that_can_be_trained_is_made_without_values(config: TrainConfig) -> None:
    assert all(tensor.is_meta for tensor in check_network(config).state_dict().values())


def test_weights_are_tried_before_they_are_sent(tmp_path: Path) -> None:
    network = check_network(TrainConfig(arch="resnet18"))
    right, wrong, broken = (tmp_path / f"{name}.pth" for name in ("right", "wrong", "broken"))
    torch.save(create_network("resnet18", 1000).state_dict(), right)
    torch.save(create_network("mobilenet_v2", 1000).state_dict(), wrong)
    broken.write_bytes(b"not weights")
    pretrained.check_weights(right, network, 7)
    with pytest.raises(TrainingFailed, match="belong to another network"):
        pretrained.check_weights(wrong, network, 7)
    with pytest.raises(TrainingFailed, match=r"broken\.pth"):
        pretrained.check_weights(broken, network, 7)
    save_file({"x": torch.zeros(1)}, tmp_path / "weights.onnx")
    with pytest.raises(TrainingFailed, match=r"must be one of \.pt, \.pth, \.safetensors"):
        pretrained.check_weights(tmp_path / "weights.onnx", network, 7)


@pytest.mark.parametrize("name", ["resnet18.pth", "pretraned", "a_folder"])
def test_weights_that_are_nowhere_are_refused_before_anything_is_uploaded(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "a_folder").mkdir()
    request = launch.job_request(Site("dev"), "", "photos", {"weights": str(tmp_path / name)})
    session = boto3.Session("AKIDEXAMPLE", "secret", region_name="eu-west-1")
    with pytest.raises(TrainingFailed, match=r"no weights file at .*--weights is a file, s3://"):
        launch.check(request, session)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ml.m5.xlarg", "Did you mean ml.m5.xlarge"),
        ("m5.xlarge", "Did you mean ml.m5.xlarge"),
        ("gpu", "no instance type 'gpu'"),
    ],
)
def test_an_instance_type_that_does_not_exist_is_refused(name: str, sentence: str) -> None:
    session = boto3.Session("AKIDEXAMPLE", "secret", region_name="eu-west-1")
    check_instance_type("ml.m5.xlarge", session)
    with pytest.raises(TrainingFailed, match=sentence):
        check_instance_type(name, session)


def test_weights_that_cannot_be_downloaded_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By way of a proxy that is not there; a file that was downloaded before needs none."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    check_download("efficientnet_lite0")
    check_download("efficientnet_lite1_lite2")
    with pytest.raises(TrainingFailed, match="--weights none, to start from random ones"):
        check_download("resnet18")
    kept = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    kept.parent.mkdir(parents=True)
    kept.touch()
    check_download("resnet18")
