"""The `serve` image, built from the Dockerfile and run as SageMaker runs it, without Docker."""

import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from skimage import data

from domain.archive import CARD
from infra.local.image_here import RunningContainer, Workshop, objection
from tests.support.worlds.image_container import ask, await_ready, serving
from training.model import bundled

pytestmark = [
    pytest.mark.image,
    pytest.mark.slow,
    pytest.mark.skipif(objection() is not None, reason=f"no image is built here: {objection()}"),
]
TAG = "localhost/sortbox:test"
USER = "10001"


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    workshop = Workshop()
    workshop.base()
    try:
        workshop.build("serve", TAG)
        yield workshop
    finally:
        workshop.close()
    mounts = Path("/proc/mounts").read_text()
    assert str(workshop.folder) not in mounts, "`make clean` could not delete .local"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model as SageMaker unpacks it, readable for any user."""
    archive = tmp_path_factory.mktemp("archive") / "model.tar.gz"
    bundled.write(archive)
    folder = tmp_path_factory.mktemp("model")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def processes(container: RunningContainer) -> dict[str, dict[str, str]]:
    """By command line, the fields of /proc/PID/status, of all that runs in the container."""
    found = {}
    group = (Path("/proc") / str(container.pid) / "ns" / "pid").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns" / "pid").readlink() != group:
                continue
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            lines = (process / "status").read_text().splitlines()
        except OSError:
            continue
        found[command] = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return found


def test_the_same_sources_make_the_same_layers(workshop: Workshop) -> None:
    assert workshop.build("serve", TAG) == workshop.build("serve", TAG)


def test_the_image_serves_as_sagemaker_runs_it(workshop: Workshop, model: Path) -> None:
    photo = (Path(data.__file__).parent / "chelsea.png").read_bytes()
    with serving(workshop, TAG, model) as container:
        await_ready(container)
        running = processes(container)
        assert any("-m serving" in command for command in running)
        for command, fields in running.items():
            assert fields["Uid"].split() == [USER] * 4, command
            assert fields["Gid"].split() == [USER] * 4, command
            assert int(fields["CapEff"], 16) == 0, command
            assert fields["NoNewPrivs"].strip() == "1", command
        status, body = ask(container, "POST", "/invocations", photo, Content_Type="image/png")
        assert status == 200
        assert "cat" in json.loads(body)["labels"][0]["label"]
        assert ask(container, "POST", "/invocations", b"a,b", Content_Type="text/csv")[0] == 415
        assert ask(container, "GET", "/execution-parameters")[0] == 200
        assert container.stop() == 0, container.log()


def test_a_model_that_needs_torch_is_refused_with_a_sentence(
    workshop: Workshop, model: Path
) -> None:
    with serving(workshop, TAG, model, SORTBOX_ENGINE="torch") as container:
        assert container.exit_status() == 1
        assert "the `cpu` variant of the image" in container.log()
        assert "Traceback" not in container.log()


def test_a_gpu_that_the_image_cannot_use_is_refused_with_a_sentence(
    workshop: Workshop, model: Path
) -> None:
    """A file in the place of the device that NVIDIA's runtime would show."""
    gpu = {Path("/dev/null"): "/dev/nvidia0"}
    with serving(workshop, TAG, model, gpu) as container:
        assert container.exit_status() == 1
        assert "it has no PyTorch, which the `gpu` variant of the image has" in container.log()
        assert "Traceback" not in container.log()


def test_batch_transform_is_answered_too(workshop: Workshop, model: Path) -> None:
    photo = (Path(data.__file__).parent / "chelsea.png").read_bytes()
    with serving(workshop, TAG, model, SAGEMAKER_BATCH="true") as container:
        await_ready(container)
        reply = ask(container, "POST", "/invocations", photo, Content_Type="application/x-image")
        assert reply[0] == 200


@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.5])
def test_a_stop_before_it_is_warm_is_heard(workshop: Workshop, model: Path, seconds: float) -> None:
    """As the first process of its namespace, Python would never see a SIGTERM this early."""
    with serving(workshop, TAG, model) as container:
        time.sleep(seconds)
        assert container.stop() == 0, container.log()


def test_a_model_that_user_10001_cannot_read_is_served_by_root_with_a_line(
    workshop: Workshop, model: Path
) -> None:
    (model / CARD).chmod(0o600)
    try:
        with serving(workshop, TAG, model) as container:
            await_ready(container)
            assert "as root" in container.log()
            for command, fields in processes(container).items():
                assert fields["NoNewPrivs"].strip() == "1", command
    finally:
        (model / CARD).chmod(0o644)
