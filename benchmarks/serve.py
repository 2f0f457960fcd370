"""Our server and its peers, one after the other on this machine, in interleaved rounds.

`make bench`: the same weights, the same JPEG bytes, the same client. What counts are ratios within
a round: the machine may be slower in the next.
"""

import json
import os
import platform
import statistics
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import bare, plot, servers
from benchmarks.client import closed_loop, open_loop
from benchmarks.flow import images
from benchmarks.servers import Contender

PORT = 23_400
PHOTOS = 200
NETWORKS = {"resnet50": "ResNet-50", "lite0": "EfficientNet-Lite0"}
WARM_SECONDS = 1.5
OVERLOAD_SECONDS = 20.0
console = Console(width=130)


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """One server under one load in one round."""

    server: str
    round: int
    clients: int
    errors: int
    rate: float
    """Of images that were answered with 200, and so are the other figures."""
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """Processor time of the server an image, of all cores together."""
    peak_mib: float
    ready_s: float
    load: float
    """The machine's load average at the end; 2 cores that are busy show 2."""


def measured(
    contender: Contender, bodies: Sequence[bytes], seconds: float, number: int, logs: Path,
    clients: Sequence[int],
) -> list[ServerFigures]:  # fmt: skip
    request = contender.request(bodies)
    rows = []
    with servers.running(contender, logs) as server:
        uvloop.run(closed_loop(request, 4, WARM_SECONDS))
        for count in clients:
            before, began = server.cpu_seconds(), time.perf_counter()
            answers = uvloop.run(closed_loop(request, count, seconds))
            wall, used = time.perf_counter() - began, server.cpu_seconds() - before
            took = sorted(answer.seconds for answer in answers if answer.status == 200)
            rows.append(
                ServerFigures(
                    contender.name, number, count, len(answers) - len(took), len(took) / wall,
                    statistics.median(took) * 1000, took[int(len(took) * 0.99)] * 1000,
                    used / len(took) * 1000, server.peak_mebibytes(), server.ready_seconds,
                    os.getloadavg()[0],
                )
            )  # fmt: skip
            console.print(rows[-1])
    return rows


def contenders(models: Path, network: str, grid: dict[str, str], work: Path) -> list[Contender]:
    int8, bf16 = models / f"{network}-int8", models / f"{network}-bf16"
    peers = [
        servers.peer("LitServe, our engine", "litserve_openvino", int8, PORT, **grid),
        servers.peer("LitServe", "litserve_torch", int8, PORT),
        servers.peer("FastAPI", "fastapi_torch", int8, PORT),
        servers.torchserve(int8, PORT, work / "torchserve"),
    ]
    results = [peer for peer in peers if peer is not None]
    if len(results) < len(peers):
        console.print("TorchServe is left out: there is no Java on this machine.")
    return [servers.ours(int8, PORT), servers.ours(bf16, PORT), *results]


def best_grid(models: Path, network: str, bodies: Sequence[bytes], work: Path) -> dict[str, str]:
    """LitServe with our engine at sixteen clients, in every arrangement."""
    table = Table("workers", "batch", "timeout ms", "images/s", title="LitServe, our engine: grid")
    tried: list[tuple[float, dict[str, str]]] = []
    for workers, batch, timeout in product("123", "48", "25"):
        parse_arguments = {"WORKERS": workers, "BATCH": batch, "TIMEOUT_MS": timeout}
        contender = servers.peer(
            "LitServe grid",
            "litserve_openvino",
            models / f"{network}-int8",
            PORT,
            **parse_arguments,
        )
        (row,) = measured(contender, bodies, 3, 0, work, (16,))
        tried.append((row.rate, parse_arguments))
        table.add_row(workers, batch, timeout, f"{row.rate:.0f}")
    console.print(table)
    return max(tried, key=lambda pair: pair[0])[1]


def overload(
    contender: Contender, bodies: Sequence[bytes], peak: float, seconds: float, work: Path
) -> dict[str, float]:
    """Twice as many requests as can be answered."""
    with servers.running(contender, work) as server:
        request = contender.request(bodies)
        uvloop.run(closed_loop(request, 64, 3))
        before = server.mebibytes()
        answers = uvloop.run(open_loop(request, 2 * peak, seconds))
        after = server.mebibytes()
    accepted = sorted(answer.seconds for answer in answers if answer.status == 200)
    refused = sorted(answer.seconds for answer in answers if answer.status in (429, 503))
    return {
        "asked/s": 2 * peak,
        "accepted/s": len(accepted) / seconds,
        "accepted p99 ms": accepted[int(len(accepted) * 0.99)] * 1000,
        "refused": len(refused),
        "refused p50 ms": statistics.median(refused) * 1000,
        "refused p99 ms": refused[int(len(refused) * 0.99)] * 1000,
        "memory before MiB": before,
        "memory after MiB": after,
    }


def summary(rows: Sequence[ServerFigures]) -> Table:
    """Medians over the rounds, and the ratio of our int8 to each, smallest to largest."""
    table = Table(
        "server", "clients", "images/s", "p50 ms", "p99 ms", "core-ms", "peak MiB", "ours"
    )
    reference = {(row.round, row.clients): row.rate for row in rows if row.server == "sortbox int8"}
    for server, clients in dict.fromkeys((row.server, row.clients) for row in rows):
        own = [row for row in rows if (row.server, row.clients) == (server, clients)]
        middle = [
            statistics.median(getattr(row, name) for row in own)
            for name in ("rate", "p50_ms", "p99_ms", "cpu_ms", "peak_mib")
        ]
        ratios = [reference[row.round, clients] / row.rate for row in own]
        table.add_row(
            server, str(clients), *(f"{figure:.1f}" for figure in middle[:4]), f"{middle[4]:.0f}",
            f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})",
        )  # fmt: skip
    return table


Results = dict[str, Any]
"""The parts of the document, each under its name."""


def bare_part(options: Namespace, results: Results, models: Path, bodies: Sequence[bytes]) -> None:
    results["bare"] = asdict(bare.measure(models / f"{options.network}-int8", bodies))


def grid_part(options: Namespace, results: Results, models: Path, bodies: Sequence[bytes]) -> None:
    results["grid"] = best_grid(models, options.network, bodies, models / "work")


def servers_part(
    options: Namespace, results: Results, models: Path, bodies: Sequence[bytes]
) -> None:
    """Its rounds are counted on from those that are there."""
    if "grid" not in results:
        grid_part(options, results, models, bodies)
    first = 1 + max((row["round"] for row in results["rows"]), default=-1)
    work = models / "work"
    for number in range(first, first + options.rounds):
        for contender in contenders(models, options.network, results["grid"], work):
            rows = measured(contender, bodies, options.seconds, number, work, options.clients)
            results["rows"] += [asdict(row) for row in rows]


def overload_part(
    options: Namespace, results: Results, models: Path, bodies: Sequence[bytes]
) -> None:
    if not results["rows"]:
        servers_part(options, results, models, bodies)
    ours = servers.ours(models / f"{options.network}-int8", PORT)
    peak = max(row["rate"] for row in results["rows"] if row["server"] == "sortbox int8")
    results["overload"] = overload(ours, bodies, peak, OVERLOAD_SECONDS, models / "work")


RUN = {
    "bare": bare_part,
    "grid": grid_part,
    "servers": servers_part,
    "overload": overload_part,
}
PARTS = tuple(RUN)


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}"


def parse_arguments(arguments: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--network", choices=NETWORKS, default="resnet50")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", type=int, nargs="+", default=(1, 4, 16, 64))
    parser.add_argument("--models", type=Path, default=Path("build/bench"))
    parser.add_argument(
        "--parts", choices=PARTS, nargs="+", default=PARTS, help="the others stay as they were"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)
    models = options.models.resolve()
    work, kept = models / "work", models / f"{options.network}.json"
    work.mkdir(parents=True, exist_ok=True)
    bodies = list(islice(images(), PHOTOS))
    whole = tuple(options.parts) == PARTS or not kept.exists()
    results: dict[str, Any] = {"rows": []} if whole else json.loads(kept.read_text())
    results["machine"] = machine()
    console.print(machine(), f"load {os.getloadavg()}", sep="\n")
    for part in options.parts:
        RUN[part](options, results, models, bodies)
        kept.write_text(json.dumps(results, indent=1))
    rows = [ServerFigures(**row) for row in results["rows"]]
    if rows:
        console.print(summary(rows), results.get("bare"), results.get("overload"))
        kept.with_suffix(".svg").write_text(plot.throughput(results, NETWORKS[options.network]))
    console.print(f"load {os.getloadavg()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
