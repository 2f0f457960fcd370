"""Answers come from the active model and from nothing else: real ones, in the real server."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra import photos
from infra.local import container_image
from tests.flow.conftest import STAND_IN, Activate, archive
from tests.flow.support.drive import Cloud, top_label
from training.model.bundled import bundled_model
from training.model.package import pack

pytestmark = [pytest.mark.flow, pytest.mark.slow]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """ImageNet's model, and the same network with its labels in the opposite order."""
    folder = tmp_path_factory.mktemp("models")
    card, weights = bundled_model()
    backwards = replace(card, name="backwards", labels=tuple(reversed(card.labels)))
    pack(card, weights, folder / "imagenet.tar.gz")
    pack(backwards, weights, folder / "backwards.tar.gz")
    return {path.name.removesuffix(".tar.gz"): path for path in folder.iterdir()}


@pytest.fixture
def activated(
    activate: Activate, models: dict[str, Path], tmp_path: Path
) -> Iterator[Callable[[str], None]]:
    """Activates one of `models`; the stand-in is active again when the test ends."""
    yield lambda name: activate(models[name], container_image.uri())
    activate(archive(tmp_path / "stand-in.tar.gz", "stand-in"), STAND_IN)


def test_photographs_get_the_active_model_s_labels_and_another_model_s_after_a_change(
    cloud: Cloud, activated: Callable[[str], None]
) -> None:
    known = [photo for photo in photos.singles() if photo.expected]
    activated("imagenet")
    first = {photo.name: _drop(cloud, "now", photo) for photo in known}
    assert {photo.name for photo in known if first[photo.name] in photo.expected} == set(first)
    activated("backwards")
    second = {photo.name: _drop(cloud, "then", photo) for photo in known}
    labels = dict(zip(*_opposites(), strict=True))
    assert second == {name: labels[label] for name, label in first.items()}


def _drop(cloud: Cloud, when: str, photo: photos.DemoPhoto) -> str:
    key = f"inbox/{when} {photo.name}"
    answer = cloud.answered(key, cloud.drop(key, photo.body))
    assert answer.by is not None
    assert answer.by.model == cloud.active().id
    return top_label(answer)


def _opposites() -> tuple[list[str], list[str]]:
    labels = list(bundled_model()[0].labels)
    return labels, labels[::-1]
