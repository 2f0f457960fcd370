from pathlib import Path

import pytest

from serving import hardware


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
    assert not hardware.has_gpu(tmp_path)
