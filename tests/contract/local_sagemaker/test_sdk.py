"""The SageMaker SDK 3 drives the local SageMaker unchanged, told where it is by the environment."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.local_sagemaker.support.cloud import (
    BUCKET,
    ROLE,
    Cloud,
    archive,
    expected_labels,
)
from tests.contract.local_sagemaker.support.server import CREDENTIALS, IMAGE
from tests.stand_in.answers import label_of
from tests.stand_in.train import BEST


def run(cloud: Cloud, folder: Path, script: str, *arguments: str) -> Any:
    """A program of its own, which writes down what the SDK told it."""
    answers = folder / "answers.json"
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "support" / script), *arguments, str(answers)],
        env={
            **CREDENTIALS,
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": cloud.aws,
            "AWS_ENDPOINT_URL_SAGEMAKER": cloud.server.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": cloud.server.url,
            "SAGEMAKER_VALIDATE_ROLE": "false",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(answers.read_text())


@pytest.mark.slow
def test_the_sdk_creates_invokes_updates_transforms_and_deletes(
    cloud: Cloud, tmp_path: Path
) -> None:
    folder, images = cloud.images(3)
    manifest = cloud.manifest(folder, images)["S3Uri"]
    model_data = cloud.put("models/sdk.tar.gz", archive({"card.json": b"{}"}))
    said = run(cloud, tmp_path, "sdk_session.py", IMAGE, ROLE, BUCKET, model_data, manifest)
    assert said == {
        "model": IMAGE,
        "first": {"label": label_of(b"an image"), "container": "sdk-before"},
        "updated": {"label": label_of(b"an image"), "container": "sdk-after"},
        "endpoints": ["sdk"],
        "job": "Completed",
        "jobs": ["sdk"],
        "left": ["sdk-before"],
    }
    assert cloud.labels("sdk") == expected_labels(images)


@pytest.mark.slow
def test_the_sdk_trains_with_its_log_and_registers_versions(cloud: Cloud, tmp_path: Path) -> None:
    cloud.put("sdk-data/cats/1.txt", b"one")
    said = run(cloud, tmp_path, "sdk_training.py", IMAGE, ROLE, BUCKET)
    model = said.pop("model")
    assert said == {
        "status": "Completed",
        "metrics": {"loss": 0.25},
        "told": {"steps": "4", "lr": "0.1"},
        "version": 1,
        "approval": "Approved",
    }
    assert json.loads(cloud.archived(model)["seen.json"])["files"] == {"data/cats/1.txt": "one"}
    assert "step" in cloud.keys("sdk-checkpoints/")


@pytest.mark.slow
def test_the_sdk_tunes_warm_starts_and_stops(cloud: Cloud, tmp_path: Path) -> None:
    cloud.put("sdk-data/cats/1.txt", b"one")
    said = run(cloud, tmp_path, "sdk_tuning.py", IMAGE, ROLE, BUCKET)
    assert said["statuses"] == ["Completed", "Completed", "Stopped"]
    assert said["listed"] == ["sdk-endless", "sdk-first", "sdk-warm"]
    assert said["completed"] >= 1
    assert said["best"]["batch-size"] in ("32", "64", "128"), "plain: no quotes around it"
    assert said["best"]["steps"] == "2"
    assert 0.001 <= float(said["best"]["lr"]) <= 0.1
    off = [abs(math.log10(float(each["lr"]) / BEST)) for each in [*said["trials"], said["best"]]]
    assert abs(math.log10(float(said["overall"]["lr"]) / BEST)) == min(off)
