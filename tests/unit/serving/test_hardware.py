import re
import sys
from pathlib import Path

import pytest

from domain.instance import explain_unusable_gpu
from serving import hardware
from serving.hardware import UnusableGpuError


@pytest.mark.parametrize(
    ("quota", "at_most"), [("max 100000", None), ("100000 100000", 1), ("20000 100000", 1)]
)
def test_the_containers_quota_bounds_the_processors(
    quota: str, at_most: int | None, tmp_path: Path
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    everything = hardware.available_processors(tmp_path / "absent")
    assert hardware.available_processors(tmp_path / "cpu.max") == (at_most or everything)


def test_a_machine_without_a_gpus_device_has_none(tmp_path: Path) -> None:
    (tmp_path / "nvidia-caps").touch()
    assert not hardware.has_gpu(is_required=True, devices=tmp_path)


def device(folder: Path) -> Path:
    """/dev of a machine with a GPU."""
    (folder / "nvidia0").touch()
    return folder


def test_a_gpu_that_pytorch_cannot_use_stops_the_server(tmp_path: Path) -> None:
    """It would serve on the CPU at a GPU's price, and nobody would know."""
    if hardware.has_gpu():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UnusableGpuError, match=r"(driver 580|without CUDA).*SORTBOX_GPU=optional"):
        hardware.has_gpu(is_required=True, devices=device(tmp_path))
    assert not hardware.has_gpu(is_required=False, devices=tmp_path)


def test_an_image_without_pytorch_on_a_gpu_names_the_variant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnusableGpuError, match="it has no PyTorch, which the `gpu` variant"):
        hardware.has_gpu(is_required=True, devices=device(tmp_path))


@pytest.mark.parametrize(
    ("cuda", "reason"), [(None, "built without CUDA"), ("13.2", "CUDA 13.2.*driver 580 or newer")]
)
def test_the_reason_is_the_image_or_the_driver(cuda: str | None, reason: str) -> None:
    assert re.search(reason, explain_unusable_gpu(cuda))
