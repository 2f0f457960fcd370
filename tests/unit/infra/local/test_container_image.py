"""What stands for the image on this machine starts as the image does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.local.container_image import image_command
from infra.local.place import REPOSITORY

pytestmark = pytest.mark.skipif(
    shutil.which("setpriv") is None, reason="the image's scripts need setpriv, of Linux"
)


def test_serve_and_train_are_the_images_own_scripts() -> None:
    command, scripts = image_command(), REPOSITORY / "infra" / "container"
    assert command["argv"] == [str(scripts / "serve")]
    assert command["train"] == [str(scripts / "train")]
    dockerfile = (scripts / "Dockerfile").read_text()
    for script in ("serve", "train"):
        assert f"COPY --chmod=755 infra/container/{script} /usr/local/bin/" in dockerfile


def start(argv: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """In the container's folder, as in the image's WORKDIR: nothing is found by the current one."""
    environment = image_command()["env"] | {
        "HOME": str(folder),
        "SM_MODEL_DIR": str(folder / "model"),
        "SM_INPUT_DIR": str(folder / "input"),
        "SM_OUTPUT_DIR": str(folder / "output"),
    }
    return subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_they_find_their_python_and_their_sources(tmp_path: Path) -> None:
    command = image_command()
    served = start(command["argv"], tmp_path)
    assert served.returncode == 1
    assert "serving: SORTBOX_MODEL_ID is not set" in served.stderr
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text('{"lr": "fast"}')
    assert start(command["train"], tmp_path).returncode == 1
    assert "Hyperparameter lr" in (tmp_path / "output" / "failure").read_text()
