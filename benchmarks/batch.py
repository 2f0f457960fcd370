"""A folder of photographs through Batch Transform.

`make bench-batch`: first the transform job alone, S3 served from memory, beside the rate of the
server itself in the same round; then the whole road through a local cloud of its own, with
processor time by kind of process.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.flow import images
from benchmarks.folders import local_cloud, transform
from benchmarks.serve import machine
from domain.archive import TOPOLOGY, VALUES, WEIGHTS
from domain.model import ModelCard
from training.model.package import pack

SERVER_SECONDS = 8.0
console = Console(width=110)


def pack_model(model: Path, archive: Path) -> None:
    card = ModelCard.from_json((model / "card.json").read_text())
    compiled = {name: (model / name).read_bytes() for name in (TOPOLOGY, VALUES)}
    pack(card, (model / WEIGHTS).read_bytes(), archive, compiled)


def phases(
    model: Path, archive: Path, bodies: Sequence[bytes], rounds: int, logs: Path
) -> list[dict[str, float]]:
    content, rows = archive.read_bytes(), []
    for _ in range(rounds):
        own = transform.own_rate(model, bodies, SERVER_SECONDS, logs)
        phase = transform.phase(model, content, bodies)
        rows.append({**asdict(phase), "rate": phase.rate, "own": own, "share": phase.rate / own})
        console.print({name: round(figure, 2) for name, figure in rows[-1].items()})
    shares = [row["share"] for row in rows]
    console.print(
        f"transform phase: {statistics.median(row['rate'] for row in rows):.1f} images/s, "
        f"{statistics.median(shares):.0%} ({min(shares):.0%}-{max(shares):.0%}) of the server's own"
    )
    return rows


def legs(archive: Path, bodies: Sequence[bytes], within: Path) -> list[local_cloud.Leg]:
    with tempfile.TemporaryDirectory(prefix="cloud-", dir=within) as root:
        measured = local_cloud.whole(archive, bodies, Path(root))
    table = Table("core-ms an image", *(leg.what for leg in measured))
    table.add_row("seconds in all", *(f"{leg.seconds:.1f}" for leg in measured))
    table.add_row("images/s", *(f"{len(bodies) / leg.seconds:.1f}" for leg in measured))
    for kind in dict.fromkeys(kind for leg in measured for kind in leg.cpu_ms):
        table.add_row(kind, *(f"{leg.cpu_ms.get(kind, 0.0):.1f}" for leg in measured))
    console.print(table)
    return measured


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--model", default="resnet50-int8", help="a folder of --models")
    parser.add_argument("--models", type=Path, default=Path("build/bench"))
    parser.add_argument("--number", type=int, default=2_000, help="of photographs")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=("transform", "road"), help="one of the two parts")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)
    models = options.models.resolve()
    model, work = models / options.model, models / "work"
    work.mkdir(parents=True, exist_ok=True)
    archive = work / f"{options.model}.tar.gz"
    pack_model(model, archive)
    bodies = list(islice(images(), options.number))
    console.print(machine(), f"load {os.getloadavg()}", sep="\n")
    document: dict[str, object] = {
        "machine": machine(),
        "model": options.model,
        "images": len(bodies),
    }
    if options.only != "road":
        document["transform"] = phases(model, archive, bodies, options.rounds, work)
    if options.only != "transform":
        document["road"] = [asdict(leg) for leg in legs(archive, bodies, work)]
    console.print(f"load {os.getloadavg()}")
    (models / f"batch-{options.model}.json").write_text(json.dumps(document, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
