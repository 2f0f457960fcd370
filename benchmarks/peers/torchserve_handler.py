"""What the TorchServe archive holds: the server of SageMaker's own PyTorch images."""

import torch
from ts.torch_handler.base_handler import BaseHandler

from benchmarks.peers import network


class Handler(BaseHandler):
    def initialize(self, context: object) -> None:
        self.network = network.load()
        self.prepare = network.prepare()
        self.labels = network.card().labels
        self.initialized = True

    def preprocess(self, data: list[dict[str, bytes]]) -> torch.Tensor:
        bodies = [row.get("body") or row["data"] for row in data]
        return torch.stack([self.prepare(network.opened(bytes(body))) for body in bodies])

    def inference(self, batch: torch.Tensor) -> torch.Tensor:
        return network.scores(self.network, batch)

    def postprocess(self, rows: torch.Tensor) -> list[list[dict[str, object]]]:
        return [network.labelled(row, self.labels) for row in rows]
