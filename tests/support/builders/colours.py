"""A server over a network that tells red, green and blue apart, called without a socket."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import httpx
import numpy as np

from domain.model import ModelCard, Preprocessing
from serving.app import create_app
from serving.classifier import Classifier
from serving.engines import Engine
from serving.engines.outputs import Outputs
from serving.preprocess import Pixels
from serving.settings import Settings

CARD = ModelCard(
    "colours", "none", ("red", "green", "blue"), Preprocessing(8, 8, (0, 0, 0), (1, 1, 1)), ""
)
ENVIRONMENT = {
    "SORTBOX_MODEL_ID": f"colours:1:{CARD.digest}",
    "SORTBOX_CONTAINER": "sha256:cd",
    "SORTBOX_MAX_BODY_BYTES": "100000",
}


def colours(pixels: Pixels, alone: bool) -> Outputs:
    """A network that knows how red, green and blue an image is: its features are these amounts."""
    amounts = pixels.astype(np.float32).mean(axis=(1, 2)) + 1
    return Outputs(amounts / amounts.sum(axis=1, keepdims=True), amounts)


class Client:
    def __init__(self, network: Engine, **settings: str) -> None:
        values = Settings.from_env(ENVIRONMENT | settings, processors=2)
        self.classifier = Classifier(CARD, network, values)
        transport = httpx.ASGITransport(
            create_app(self.classifier, values), raise_app_exceptions=False
        )
        self.http = httpx.AsyncClient(transport=transport, base_url="http://model")

    def get(self, path: str) -> httpx.Response:
        return self._run(lambda: self.http.get(path))

    def post(self, body: bytes, **headers: str) -> httpx.Response:
        return self._run(lambda: self.invoke(body, headers))

    def invoke(self, body: bytes, headers: Mapping[str, str] = {}) -> Awaitable[httpx.Response]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post("/invocations", content=body, headers=sent)

    def _run(self, call: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        async def once() -> httpx.Response:
            return await call()

        return asyncio.run(once())
