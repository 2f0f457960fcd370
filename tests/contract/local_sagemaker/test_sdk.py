"""The SageMaker SDK 3 drives the local SageMaker unchanged, told where it is by the environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.local_sagemaker.cloud import (
    BUCKET,
    ROLE,
    Cloud,
    archive,
    expected_labels,
)
from tests.contract.local_sagemaker.server import CREDENTIALS, IMAGE
from tests.stand_in.answers import label_of


@pytest.mark.slow
def test_the_sdk_creates_invokes_updates_transforms_and_deletes(
    cloud: Cloud, tmp_path: Path
) -> None:
    folder, images = cloud.images(3)
    manifest = cloud.manifest(folder, images)["S3Uri"]
    model_data = cloud.put("models/sdk.tar.gz", archive({"card.json": b"{}"}))
    script, answers = Path(__file__).with_name("sdk_session.py"), tmp_path / "answers.json"
    ended = subprocess.run(
        [sys.executable, str(script), IMAGE, ROLE, BUCKET, model_data, manifest, str(answers)],
        env={
            **CREDENTIALS,
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
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
    assert json.loads(answers.read_text()) == {
        "model": IMAGE,
        "first": {"label": label_of(b"an image"), "container": "sdk-before"},
        "updated": {"label": label_of(b"an image"), "container": "sdk-after"},
        "endpoints": ["sdk"],
        "job": "Completed",
        "jobs": ["sdk"],
        "left": ["sdk-before"],
    }
    assert cloud.labels("sdk") == expected_labels(images)
