import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from domain.model import ModelCard, ModelId, Preprocessing
from serving import archive
from serving.archive import ModelLoadError

WEIGHTS = b"weights"
CARD = ModelCard(
    name="pets",
    architecture="efficientnet_lite0",
    labels=("cat", "dog"),
    preprocessing=Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic"),
    weights_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
)


def written(folder: Path, card: ModelCard = CARD, weights: bytes = WEIGHTS) -> Path:
    (folder / "card.json").write_text(card.to_json())
    (folder / "weights.safetensors").write_bytes(weights)
    return folder


def promised(card: ModelCard = CARD) -> ModelId:
    return ModelId(card.name, 1, card.digest)


def test_the_promised_model_is_read(tmp_path: Path) -> None:
    model = archive.read(written(tmp_path), promised())
    assert (model.card, model.weights()) == (CARD, WEIGHTS)


def test_another_model_than_promised_is_refused(tmp_path: Path) -> None:
    other = replace(CARD, labels=("dog", "cat"))
    with pytest.raises(ModelLoadError, match="SORTBOX_MODEL_ID promises"):
        archive.read(written(tmp_path), promised(other))


def test_weights_that_are_not_the_cards_are_refused(tmp_path: Path) -> None:
    model = archive.read(written(tmp_path, weights=b"other"), promised())
    with pytest.raises(ModelLoadError, match="its card says"):
        model.weights()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"preprocessing": {}, "labels": []}', "\0"])
def test_what_is_no_card_is_refused(text: str, tmp_path: Path) -> None:
    (written(tmp_path) / "card.json").write_text(text)
    with pytest.raises(ModelLoadError, match="is not a model card"):
        archive.read(tmp_path, promised())


def test_a_card_that_no_image_can_be_prepared_by_is_refused(tmp_path: Path) -> None:
    card = replace(CARD, preprocessing=replace(CARD.preprocessing, crop=999))
    with pytest.raises(ModelLoadError, match="crop <= resize"):
        archive.read(written(tmp_path, card), promised(card))


@pytest.mark.parametrize("temperature", ["0", "-1", "0.05", "11", "1e999", "true", '"2"', "[]"])
def test_a_temperature_that_no_score_can_be_divided_by_is_refused(
    temperature: str, tmp_path: Path
) -> None:
    card = replace(CARD, temperature=2.0).to_json()
    text = card.replace('"temperature": 2.0', f'"temperature": {temperature}')
    (written(tmp_path) / "card.json").write_text(text)
    with pytest.raises(ModelLoadError, match="is not a model card"):
        archive.read(tmp_path, promised())


def test_a_card_without_a_temperature_keeps_the_digest_it_had() -> None:
    assert "temperature" not in CARD.to_json()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (written(tmp_path) / "weights.safetensors").unlink()
    model = archive.read(tmp_path, promised())
    with pytest.raises(ModelLoadError, match=r"weights\.safetensors cannot be read: No such file"):
        model.weights()
