"""An endpoint that answers the features of images, as a test gives them."""

import io
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from domain.model import ActiveModel
from domain.reply import FeatureVector, Label, Labelled, Server, to_json
from tests.support.worlds.uploads import model_error


@dataclass
class FeatureEndpoint:
    """Answers the features that `numbers` has of a content, as the model `active` does."""

    active: ActiveModel
    numbers: dict[bytes, list[float] | Exception | None] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)

    def invoke_endpoint(
        self, *, Body: bytes, Accept: str, CustomAttributes: str = "", **_: Any
    ) -> dict[str, Any]:
        if Accept == "image/jpeg":
            raise model_error(415, "no thumbnails here")
        assert (Accept, CustomAttributes) == ("application/json", "features=true")
        self.requests.append(Body)
        numbers = self.numbers.get(Body, [1.0, 0.0])
        if isinstance(numbers, Exception):
            raise numbers
        row = np.array(numbers or [], "<f2").tobytes()
        vector = FeatureVector("float16", len(row) // 2, b64encode(row).decode()) if row else None
        server = Server(str(self.active.id), "sha256:container")
        reply = Labelled(server, (Label("cat", 0.9),), 4, 3, "jpeg", 1.5, features=vector)
        return {"Body": io.BytesIO(to_json(reply).encode())}
