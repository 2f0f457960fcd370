"""PyTorch on a GPU: the bare network by size of batch, decoding alone, and the server with both.

`make bench-gpu`. What no server can beat here is the lesser of the two: they run side by side.
"""

import sys
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import uvloop
from rich.console import Console

from benchmarks import bare, servers
from benchmarks import models as made
from benchmarks.client import closed_loop
from benchmarks.flow import images
from benchmarks.serve import PHOTOS, PORT, machine
from domain.model import ModelCard
from serving import hardware
from serving.archive import Archive
from serving.engines import Engine
from serving.preprocess import Pixels

BATCHES = (1, 4, 16, 64)
CLIENTS = 128
SECONDS = 5.0


def main(arguments: list[str]) -> int:
    console = Console(width=110)
    if not hardware.has_gpu():
        console.print(
            "There is no GPU on this machine, or PyTorch cannot use it: nothing measured."
        )
        return 0
    models = Path(arguments[0] if arguments else "build/bench").resolve()
    model = models / "resnet50-bf16"
    if not model.exists():
        made.main(models)
    card = ModelCard.from_json((model / "card.json").read_text())
    bodies = list(islice(images(), PHOTOS))
    console.print(machine())
    decodes = bare.rate(bare.decoder(card.preprocessing, bodies), hardware.available_processors())
    console.print(f"decode, all cores: {decodes:.0f} images/s")
    network = _networks(Archive(card, model), console)
    console.print(
        f"limit: {min(decodes, network):.0f} images/s; server: {_server(model, bodies):.0f}"
    )
    return 0


def _networks(archive: Archive, console: Console) -> float:
    """The fastest of all sizes of batch."""
    from serving.engines.cuda import Cuda

    engine, side, rates = Cuda(archive, BATCHES[-1]), archive.card.preprocessing.crop, []
    for size in BATCHES:
        batch = np.zeros((size, side, side, 3), np.uint8)
        rates.append(size * bare.rate(partial(_again, engine, batch), 1))
        console.print(f"network, batch {size}: {rates[-1]:.0f} images/s")
    return max(rates)


def _again(engine: Engine, batch: Pixels, number: int) -> None:
    engine(batch, False)


def _server(model: Path, bodies: list[bytes]) -> float:
    options = {"SORTBOX_ENGINE": "torch", "SORTBOX_MAX_BATCH": str(BATCHES[-1])}
    contender = servers.ours(model, PORT, SORTBOX_QUEUE=str(2 * CLIENTS), **options)
    logs = model.parent / "work"
    logs.mkdir(exist_ok=True)
    with servers.running(contender, logs):
        request = contender.request(bodies)
        uvloop.run(closed_loop(request, CLIENTS, SECONDS))
        answers = uvloop.run(closed_loop(request, CLIENTS, SECONDS))
    return float(sum(answer.status == 200 for answer in answers) / SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
