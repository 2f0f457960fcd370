from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from domain.model import ModelId
from tests.support.worlds.serving_process import Serving, serving

if TYPE_CHECKING:
    from tests.support.worlds.jobs import Job  # imports torch: only for those who ask


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelId]:
    """A network with random weights: the folder that is /opt/ml/model, and its id."""
    from tests.support.builders.models import random_model  # imports torch: only for those who ask

    folder = tmp_path_factory.mktemp("random")
    return folder / "model", random_model(folder, "cat", "dog", "bird")


@pytest.fixture(scope="session")
def server(
    random_model: tuple[Path, ModelId], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """One running container for all who only ask it questions."""
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(*random_model, log) as running:
        yield running


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For trainings: on one thread the same sums come out the same."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def job(tmp_path: Path) -> "Job":
    """A training job on three colours, not begun."""
    from tests.support.worlds.jobs import Job, data_set

    made = Job(tmp_path / "ml")
    data_set(made.channel)
    return made
