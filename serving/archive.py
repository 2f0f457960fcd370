"""The unpacked model archive: read once, and only if it is the model that was promised."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from domain.model import ModelCard, ModelId
from serving import preprocess

CARD = "card.json"
WEIGHTS = "weights.safetensors"
CARD_BYTES = 4 * 2**20


class ModelError(ValueError):
    """This model cannot be served; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Archive:
    card: ModelCard
    weights: bytes
    """A safetensors file, as it was hashed."""


def read(folder: Path, promised: ModelId) -> Archive:
    """Raises ModelError unless the card is the promised one and the weights are the card's."""
    card = _card(folder / CARD)
    if card.digest != promised.digest:
        raise ModelError(
            f"{folder / CARD} is of the model {card.digest}, but SORTBOX_MODEL_ID promises "
            f"{promised.digest}"
        )
    weights = _bytes(folder / WEIGHTS)
    found = hashlib.sha256(weights).hexdigest()
    if found != card.weights_sha256:
        raise ModelError(
            f"{folder / WEIGHTS} has the sha256 {found}, but its card says {card.weights_sha256}"
        )
    return Archive(card, weights)


def _card(path: Path) -> ModelCard:
    text = _bytes(path)
    try:
        if len(text) > CARD_BYTES:
            raise ValueError(f"more than {CARD_BYTES:,} bytes")
        card = ModelCard.from_json(text.decode())
        preprocess.check(card.preprocessing)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{path} is not a model card: {error}") from error
    return card


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
