"""Model archives for tests that read the card alone."""

import io
import tarfile
from collections.abc import Mapping

from domain.archive import card_bytes
from domain.model import ModelCard, Preprocessing


def archive_of_labels(labels: tuple[str, ...], before: Mapping[str, bytes] | None = None) -> bytes:
    """As the card of a model lies in its archive, behind the files `before`."""
    numbers = Preprocessing(8, 8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    card = card_bytes(ModelCard("pets", "network", labels, numbers, "0" * 64))
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in ({**(before or {}), "card.json": card}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()
