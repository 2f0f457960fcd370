"""One cloud for all flow tests, deployed as any stage is; a stand-in is the model's container."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain.model import ModelCard, Preprocessing
from infra.local import cloud as local
from infra.local.container_image import ImageCommand
from infra.local.place import REPOSITORY
from tests.flow.support.drive import Cloud
from tests.stand_in.live import Knobs as Turned
from tests.stand_in.live import Live
from training.model.package import pack

Activate = Callable[[Path, str], None]

STAND_IN = f"000000000000.dkr.ecr.us-east-1.amazonaws.com/sortbox@sha256:{'5' * 64}"


@dataclass(frozen=True)
class Knobs:
    """The stand-in's knobs, turned while it serves; back at rest when the test ends."""

    live: Live

    def set(self, delay_ms: float = 0, status: int | None = None) -> None:
        self.live.turn(Turned(delay_ms, status))

    def seen(self, body: bytes) -> bool:
        """Whether these bytes have reached a model container."""
        return self.live.has_seen(body)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    return Live(tmp_path_factory.mktemp("live"))


@pytest.fixture
def knobs(live: Live) -> Iterator[Knobs]:
    turned = Knobs(live)
    yield turned
    turned.set()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, live: Live) -> Iterator[local.LocalCloud]:
    stand_in = ImageCommand(
        argv=[sys.executable, "-m", "tests.stand_in"],
        train=[sys.executable, "-m", "tests.stand_in.train"],
        cwd=str(REPOSITORY),
        env={"STAND_IN_LIVE": str(live.folder)},
    )
    root = tmp_path_factory.mktemp("cloud")
    with local.local_cloud(root, {STAND_IN: stand_in}) as running:
        yield running


@pytest.fixture(scope="session")
def activate(running: local.LocalCloud) -> Activate:
    """Makes an archive the active model, served by an image."""

    def run(model: Path, image: str) -> None:
        command = [sys.executable, "-m", "infra.models.activate", running.stage, str(model), image]
        subprocess.run(command, cwd=REPOSITORY, env=running.environment, check=True)

    return run


@pytest.fixture(scope="session")
def cloud(
    running: local.LocalCloud, activate: Activate, tmp_path_factory: pytest.TempPathFactory
) -> Cloud:
    activate(archive(tmp_path_factory.mktemp("model") / "stand-in.tar.gz", "stand-in"), STAND_IN)
    return Cloud(
        s3=running.client("s3"),
        sqs=running.client("sqs"),
        sagemaker=running.client("sagemaker"),
        bucket=running.bucket,
        stage=running.stage,
    )


def archive(path: Path, name: str) -> Path:
    """A model archive that the stand-in, which looks at nothing in it, can stand for."""
    weights = f"the weights of {name}".encode()
    card = ModelCard(
        name=name,
        architecture="stand_in",
        labels=("sha",),
        preprocessing=Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
    pack(card, weights, path)
    return path
