"""The unpacked model archive: read it, and verify that it is the expected model."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from domain.archive import (
    CARD,
    FILE_BYTES,
    NEIGHBOURS,
    TOPOLOGY,
    VALUES,
    WEIGHTS,
    ArchiveError,
    read_card,
)
from domain.errors import SortboxError
from domain.model import Compiled, ModelCard, ModelId, UnknownRule
from serving import preprocess
from serving.files import read_regular


class ModelLoadError(SortboxError, ValueError):
    """The model cannot be served; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A model in a folder. Engines read the files they need, verified against the card."""

    card: ModelCard
    folder: Path

    def weights(self) -> bytes:
        """The content of the safetensors file. Raises ModelLoadError."""
        return self._read_verified(WEIGHTS, self.card.weights_sha256)

    def openvino(self, compiled: Compiled) -> tuple[bytes, bytes]:
        """The network's topology (XML) and its weights (bin). Raises ModelLoadError."""
        if set(compiled.files) != {TOPOLOGY, VALUES}:
            raise ModelLoadError(
                f"{self.folder / CARD} names other files than {TOPOLOGY}, {VALUES}"
            )
        layers, values = (
            self._read_verified(name, compiled.files[name]) for name in (TOPOLOGY, VALUES)
        )
        return layers, values

    def neighbours(self, rule: UnknownRule) -> bytes:
        """`rule.neighbours` rows of `rule.features` bytes. Raises ModelLoadError."""
        content = self._read_verified(NEIGHBOURS, rule.sha256)
        if len(content) != rule.neighbours * rule.features:
            raise ModelLoadError(
                f"{self.folder / NEIGHBOURS} has {len(content):,} bytes, but its card says "
                f"{rule.neighbours:,} x {rule.features:,}"
            )
        return content

    def _read_verified(self, name: str, sha256: str) -> bytes:
        content = _read_file(self.folder, name)
        actual = hashlib.sha256(content).hexdigest()
        if actual != sha256:
            raise ModelLoadError(
                f"{self.folder / name} has the sha256 {actual}, but its card says {sha256}"
            )
        return content


def read(folder: Path, expected: ModelId) -> Archive:
    """Read the card. Raises ModelLoadError if it is invalid or not of the `expected` model."""
    card = _read_card(folder)
    if card.digest != expected.digest:
        raise ModelLoadError(
            f"{folder / CARD} is of the model {card.digest}, but SORTBOX_MODEL_ID promises "
            f"{expected.digest}"
        )
    return Archive(card, folder)


def _read_card(folder: Path) -> ModelCard:
    try:
        card = read_card(_read_file(folder, CARD))
        preprocess.check(card.preprocessing)
    except (ArchiveError, ValueError) as error:
        raise ModelLoadError(f"{folder}: {error}") from error
    return card


def _read_file(folder: Path, name: str) -> bytes:
    """Read a file of the archive. Untrusted: SageMaker unpacks any archive. Raises
    ModelLoadError."""
    try:
        return read_regular(folder / name, FILE_BYTES[name])
    except OSError as error:
        raise ModelLoadError(f"{folder / name} cannot be read: {error.strerror}") from error
