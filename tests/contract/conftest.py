from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.model import ModelId
from tests.serving_process import Serving, serving


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelId]:
    """A network with random weights: the folder that is /opt/ml/model, and its id."""
    from tests.models import random_model  # imports torch: only for those who ask

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
