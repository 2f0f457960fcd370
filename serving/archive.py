"""The unpacked model archive: read once, and only if it is the model that was promised."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from domain.archive import (
    CARD,
    FILE_BYTES,
    TOPOLOGY,
    VALUES,
    WEIGHTS,
    ArchiveError,
    read_card,
)
from domain.errors import SortboxError
from domain.model import Compiled, ModelCard, ModelId
from serving import preprocess
from serving.files import read_regular


class ModelError(SortboxError, ValueError):
    """This model cannot be served; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Each engine reads the files it needs, and only as the card names them."""

    card: ModelCard
    folder: Path

    def weights(self) -> bytes:
        """A safetensors file. Raises ModelError."""
        return self._promised(WEIGHTS, self.card.weights_sha256)

    def openvino(self, compiled: Compiled) -> tuple[bytes, bytes]:
        """The network's layers, and their values. Raises ModelError."""
        if set(compiled.files) != {TOPOLOGY, VALUES}:
            raise ModelError(f"{self.folder / CARD} names other files than {TOPOLOGY}, {VALUES}")
        layers, values = (self._promised(name, compiled.files[name]) for name in (TOPOLOGY, VALUES))
        return layers, values

    def _promised(self, name: str, sha256: str) -> bytes:
        content = _bytes(self.folder, name)
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ModelError(
                f"{self.folder / name} has the sha256 {found}, but its card says {sha256}"
            )
        return content


def read(folder: Path, promised: ModelId) -> Archive:
    """Raises ModelError unless the card is the promised one."""
    card = _card(folder)
    if card.digest != promised.digest:
        raise ModelError(
            f"{folder / CARD} is of the model {card.digest}, but SORTBOX_MODEL_ID promises "
            f"{promised.digest}"
        )
    return Archive(card, folder)


def _card(folder: Path) -> ModelCard:
    try:
        card = read_card(_bytes(folder, CARD))
        preprocess.check(card.preprocessing)
    except (ArchiveError, ValueError) as error:
        raise ModelError(f"{folder}: {error}") from error
    return card


def _bytes(folder: Path, name: str) -> bytes:
    """SageMaker has unpacked the archive, whatever was in it."""
    try:
        return read_regular(folder / name, FILE_BYTES[name])
    except OSError as error:
        raise ModelError(f"{folder / name} cannot be read: {error.strerror}") from error
