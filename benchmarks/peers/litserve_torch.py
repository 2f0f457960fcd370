"""LitServe with plain torch in fp32, images in base64 as its examples send them."""

import base64
import os

import litserve
import torch

from benchmarks.peers import network


class TorchApi(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.network = network.load()
        self.prepare = network.prepare()
        self.labels = network.card().labels

    def decode_request(self, request: dict[str, str]) -> torch.Tensor:
        return self.prepare(network.opened(base64.b64decode(request["image"])))

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        return network.scores(self.network, batch)

    def encode_response(self, row: torch.Tensor) -> dict[str, object]:
        return {"labels": network.labelled(row, self.labels)}


if __name__ == "__main__":
    api = TorchApi(max_batch_size=8, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False)
