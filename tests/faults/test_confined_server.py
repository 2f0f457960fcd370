"""The container's `serve` as SageMaker may start it: root, on a file system that is read-only."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.model import ModelId
from tests.contract.conftest import random_model
from tests.support.worlds.serving_process import ROOT, Serving, await_ready, free_port

__all__ = ["random_model"]

SERVE = ROOT / "infra/container/serve"
NOBODY = 10001
"""The user of the image, whom nothing belongs to."""

CONFINED = """
mount --bind /tmp /tmp && mkdir "$PLACE/python" &&
mount --bind "$PYTHON" "$PLACE/python" && mount -t tmpfs -o mode=755 tmpfs "$HOME" &&
mkdir -p "$PYTHON" && mount --bind "$PLACE/python" "$PYTHON" &&
mount -o remount,ro,bind "$HOME" && mount -o remount,ro,bind / && exec "$@"
"""
"""A file system of one's own, read-only but for /tmp; then a command. Of a home that nobody else
may look into, the Python that may be installed there is left."""

UNSHARED = ("unshare", "--mount", "sh", "-c", CONFINED, "confined")
AS_NOBODY = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")


def why_not() -> str | None:
    """Why nobody can be confined here."""
    if os.getuid() != 0:
        return "only root can start a server that lets go of root"
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        return "unshare or setpriv is missing"
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        look = (
            *UNSHARED,
            *AS_NOBODY,
            sys.executable,
            "-c",
            f"import uvicorn; open({str(SERVE)!r})",
        )
        found = subprocess.run(look, cwd=ROOT, env=paths(place), capture_output=True, check=False)
    if found.returncode:
        return f"nobody else may use this checkout and its Python: {found.stderr.decode()[-200:]}"
    return None


def paths(place: str) -> dict[str, str]:
    return {
        "PLACE": place,
        "HOME": str(Path.home()),
        "PYTHON": sys.base_prefix,
        "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def confined(random_model: tuple[Path, ModelId], tmp_path: Path) -> Iterator[Serving]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    folder, model = random_model
    port, log = free_port(), tmp_path / "log"
    with tempfile.TemporaryDirectory(dir="/tmp") as place, log.open("wb") as stream:
        Path(place).chmod(0o755)
        readable = Path(place) / "model"
        shutil.copytree(folder, readable)
        environment = paths(place) | {
            "SM_MODEL_DIR": str(readable),
            "SORTBOX_MODEL_ID": str(model),
            "SORTBOX_CONTAINER": "sha256:test",
            "SORTBOX_BIND_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": str(port),
        }
        command = (*UNSHARED, "sh", str(SERVE))
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream)
        running = Serving(f"http://127.0.0.1:{port}", process, log)
        try:
            await_ready(running)
            yield running
        finally:
            process.terminate()  # The shell hands it to the server; a killed shell would leave it.
            process.wait()


@pytest.mark.slow
def test_the_server_lets_go_of_root_and_needs_nothing_that_it_may_write_to(
    confined: Serving,
) -> None:
    about = Path(f"/proc/{confined.process.pid}")
    status = (about / "status").read_text().splitlines()
    users = next(line for line in status if line.startswith("Uid:")).split()[1:]
    assert users == [str(NOBODY)] * 4
    assert "NoNewPrivs:\t1" in status
    with pytest.raises(OSError, match="Read-only"):
        (about / "root" / "usr" / "written").write_text("")
    assert confined.post(b"no image").status_code == 400


def test_the_image_has_a_user_to_become_and_serves_by_becoming_it() -> None:
    dockerfile = (ROOT / "infra/container/Dockerfile").read_text()
    assert f"useradd --uid {NOBODY} --gid {NOBODY}" in dockerfile
    assert f"setpriv --reuid {NOBODY} --regid {NOBODY}" in SERVE.read_text()
