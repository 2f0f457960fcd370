"""LitServe with our engine, decoder and preprocessing: what is left is the server.

WORKERS, BATCH and TIMEOUT_MS are the grid. A worker computes on its share of the cores.
"""

import base64
import os
from pathlib import Path

import litserve
import numpy as np

from domain.model import ModelCard
from serving import hardware, preprocess
from serving.classifier import top_labels
from serving.decoding.decode import decode
from serving.engines.openvino import add_preprocessing, openvino

FOLDER = Path(os.environ["ARCHIVE"])
WORKERS = int(os.environ["WORKERS"])
BATCH = int(os.environ["BATCH"])


class OpenVinoApi(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.card = ModelCard.from_json((FOLDER / "card.json").read_text())
        numbers = self.card.preprocessing
        core = openvino.Core()
        network = add_preprocessing(core.read_model(FOLDER / "openvino" / "model.xml"), numbers)
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": max(1, hardware.available_processors() // WORKERS),
            "INFERENCE_PRECISION_HINT": "bf16",
            "ENABLE_CPU_PINNING": False,
        }
        self.requests = {}
        for size in (8, 4, 2, 1):
            network.reshape([size, numbers.crop, numbers.crop, 3])
            model = core.compile_model(network, "CPU", config)
            self.requests[size] = model.create_infer_request()

    def decode_request(self, request: dict[str, str]) -> np.ndarray:
        numbers = self.card.preprocessing
        body = base64.b64decode(request["image"])
        decoded = decode(body, 50_000_000, preprocess.shorter_side(numbers))
        return preprocess.crop(decoded.pixels, numbers)

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        done, start = [], 0
        for size, request in self.requests.items():
            while len(pixels) - start >= size:
                request.infer({0: pixels[start : start + size]}, share_inputs=True)
                done.append(np.array(request.get_output_tensor(0).data))
                start += size
        return np.concatenate(done)

    def unbatch(self, scores: np.ndarray) -> list[np.ndarray]:
        return list(scores)

    def encode_response(self, row: np.ndarray) -> dict[str, object]:
        labels = top_labels(row, self.card.labels, 5)
        return {"labels": [{"label": item.label, "score": item.score} for item in labels]}


if __name__ == "__main__":
    timeout = int(os.environ["TIMEOUT_MS"]) / 1000
    api = OpenVinoApi(max_batch_size=BATCH, batch_timeout=timeout)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False)
