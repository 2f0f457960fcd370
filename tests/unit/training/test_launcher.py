"""A training job on a machine with a GPU uses it, or ends with the reason."""

import json
from pathlib import Path

import pytest
import torch

from training import launcher, train
from training.config.errors import TrainingFailed


def resources(folder: Path, instance_type: str) -> Path:
    """resourceconfig.json as SageMaker writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"current_host": "algo-1", "hosts": ["algo-1"]}
    content |= {"current_instance_type": instance_type} if instance_type else {}
    (folder / "resourceconfig.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("instance_type", "is_available"),
    [("ml.m5.xlarge", False), ("ml.g4dn.xlarge", True), ("", False)],
)
def test_a_machine_without_a_gpu_and_one_that_answers_are_fine(
    instance_type: str, is_available: bool, tmp_path: Path
) -> None:
    launcher.check_gpu(resources(tmp_path, instance_type), lambda: is_available)


def test_a_gpu_that_does_not_answer_ends_the_job_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"ml\.g5\.xlarge has a GPU that this image cannot"):
        launcher.check_gpu(resources(tmp_path, "ml.g5.xlarge"), lambda: False)


def test_it_is_the_jobs_failure_reason_before_any_image_is_read(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    config = resources(tmp_path / "input" / "config", "ml.g4dn.xlarge")
    (config / "hyperparameters.json").write_text("{}")
    environment = {"SM_INPUT_DIR": str(tmp_path / "input"), "SM_OUTPUT_DIR": str(tmp_path / "out")}
    assert train.main([], environment) == 1
    assert "ml.g4dn.xlarge has a GPU" in (tmp_path / "out" / "failure").read_text()
