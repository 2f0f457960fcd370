"""The README's clients, run as they stand there against the deployed cloud."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import cloud as local
from tests.flow.support.drive import Cloud, label_of
from tests.support.worlds.readme import blocks, commands

pytestmark = pytest.mark.flow


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """What the README takes for granted: a photograph, and a folder of some."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "cat.jpg").write_bytes(b"the README's cat")
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / "photos" / name).write_bytes(name.encode())
    return tmp_path


def test_the_python_client_prints_its_answer(
    cloud: Cloud, running: local.LocalCloud, desk: Path
) -> None:
    (client,) = (block for block in blocks("python") if "upload_file" in block)
    cloud.remove("inbox/cat.jpg")
    cloud.unanswered("inbox/cat.jpg")
    done = subprocess.run(
        [sys.executable, "-c", client],
        cwd=desk,
        env=running.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("classified")
    assert label_of(b"the README's cat") in done.stdout


@pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS CLI is not installed here")
def test_the_aws_cli_uploads_and_reads(cloud: Cloud, running: local.LocalCloud, desk: Path) -> None:
    cloud.drop("inbox/cat.jpg", b"the README's cat")
    cloud.answered("inbox/cat.jpg")
    lines = [line for line in commands() if line.startswith("aws s3")]
    assert len(lines) == 3
    script = "\n".join(["set -e", *lines])
    environment = running.environment | {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["sh", "-c", script], cwd=desk, env=environment, capture_output=True, text=True, check=True
    )
    assert label_of(b"the README's cat") in done.stdout
    assert cloud.label("inbox/trip/one.jpg") == label_of(b"one.jpg")
    assert cloud.label("inbox/trip/two.jpg") == label_of(b"two.jpg")
