import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.archive import FILE_BYTES, NEIGHBOURS
from domain.model import ModelCard, ModelId, Preprocessing, UnknownRule
from serving import archive, neighbours
from serving.archive import Archive, ModelLoadError

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


ROWS = bytes(range(12))
RULE = UnknownRule(0.05, 0.5, 1, 19, 4, 3, hashlib.sha256(ROWS).hexdigest())


def with_neighbours(folder: Path, rule: UnknownRule, rows: bytes | None) -> Archive:
    card = replace(CARD, unknown=rule)
    written(folder, card)
    if rows is not None:
        (folder / NEIGHBOURS).write_bytes(rows)
    return archive.read(folder, promised(card))


def test_the_neighbours_of_the_card_are_read(tmp_path: Path) -> None:
    read = neighbours.read(with_neighbours(tmp_path, RULE, ROWS))
    assert read is not None
    assert (read.features, read.rows.tolist()) == (3, np.arange(12).reshape(4, 3).tolist())


@pytest.mark.parametrize(
    ("rule", "rows", "sentence"),
    [
        (RULE, None, "cannot be read: No such file"),
        (RULE, ROWS[:-1] + b"x", "has the sha256"),
        (replace(RULE, neighbours=5), ROWS, "has 12 bytes, but its card says 5 x 3"),
        (replace(RULE, features=4), ROWS, "has 12 bytes, but its card says 4 x 4"),
        (replace(RULE, sha256=hashlib.sha256(b"").hexdigest()), b"", "has 0 bytes"),
    ],
)
def test_neighbours_that_are_not_the_cards_are_refused(
    rule: UnknownRule, rows: bytes | None, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelLoadError, match=sentence):
        neighbours.read(with_neighbours(tmp_path, rule, rows))


def test_neighbours_without_end_are_not_read(tmp_path: Path) -> None:
    model = with_neighbours(tmp_path, RULE, b"")
    with (tmp_path / NEIGHBOURS).open("wb") as file:
        file.truncate(FILE_BYTES[NEIGHBOURS] + 1)
    with pytest.raises(ModelLoadError, match="it is larger than"):
        neighbours.read(model)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", "NaN"),
        ("threshold", "1e999"),
        ("threshold", "-0.1"),
        ("threshold", "2.5"),
        ("threshold", '"0.5"'),
        ("share", "0"),
        ("share", "1"),
        ("share", "true"),
        ("neighbours", "0"),
        ("neighbours", "10001"),
        ("neighbours", "4.0"),
        ("features", "0"),
        ("features", "16385"),
        ("features", "true"),
        ("unknown", "-1"),
        ("images", "null"),
        ("sha256", '"../../etc/passwd"'),
    ],
)
def test_a_rule_for_unknown_images_that_means_nothing_is_refused(
    field: str, value: str, tmp_path: Path
) -> None:
    card = replace(CARD, unknown=RULE).to_json()
    text = re.sub(rf'("unknown": {{[^}}]*"{field}": )[^,\n]+', rf"\g<1>{value}", card)
    assert text != card
    (written(tmp_path) / "card.json").write_text(text)
    with pytest.raises(ModelLoadError, match="is not a model card"):
        archive.read(tmp_path, promised())


@pytest.mark.parametrize("rule", ["[]", '"all"', "5", "{}", '{"share": 0.05}', '{"extra": 1}'])
def test_something_else_than_a_rule_for_unknown_images_is_refused(
    rule: str, tmp_path: Path
) -> None:
    text = CARD.to_json().replace('"weights_sha256"', f'"unknown": {rule}, "weights_sha256"')
    (written(tmp_path) / "card.json").write_text(text)
    with pytest.raises(ModelLoadError, match="is not a model card"):
        archive.read(tmp_path, promised())
