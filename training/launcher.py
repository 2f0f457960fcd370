"""One process a GPU, on one machine or several: started, told to stop, and ended together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

PORT = 29500
"""Where the machines of a job meet: torch's own default."""

LOOK_SECONDS = 0.1
GRACE_SECONDS = 60.0
"""From SIGTERM to SIGKILL; SageMaker itself leaves 120."""


@dataclass(frozen=True, slots=True)
class Machines:
    names: tuple[str, ...] = ("localhost",)
    own: str = "localhost"
    interface: str = "lo"

    @classmethod
    def read(cls, config: Path) -> "Machines":
        """resourceconfig.json; absent where a person trains on one machine."""
        path = config / "resourceconfig.json"
        if not path.exists():
            return cls()
        content = json.loads(path.read_text())
        names = tuple(content["hosts"])
        if len(names) == 1:
            return cls()
        return cls(names, content["current_host"], content.get("network_interface_name", "eth0"))


def here(processes: int) -> int:
    """How many processes a machine runs; 0 asks for one a GPU."""
    return processes or torch.cuda.device_count() or 1


def run(machines: Machines, count: int, arguments: list[str], environ: Mapping[str, str]) -> int:
    """The first exit status that is not 0. When one process ends badly, all are ended."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "training.train", *arguments],
            env={**environ, **variables},
        )
        for variables in _variables(machines, count)
    ]

    def pass_on(number: int, frame: object) -> None:
        for child in children:
            child.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        return _awaited(children)
    finally:
        signal.signal(signal.SIGTERM, before)
        _end(children)


def _awaited(children: "list[subprocess.Popen[bytes]]") -> int:
    while True:
        codes = [child.poll() for child in children]
        failed = next((code for code in codes if code), None)
        if failed is not None:
            return failed
        if None not in codes:
            return 0
        time.sleep(LOOK_SECONDS)


def _end(children: "list[subprocess.Popen[bytes]]") -> None:
    """A process whose neighbour died waits for it for ever, deaf to SIGTERM."""
    deadline = time.monotonic() + GRACE_SECONDS
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _variables(machines: Machines, count: int) -> list[dict[str, str]]:
    """torch's own names, one mapping a process of this machine."""
    size = count * len(machines.names)
    first = count * machines.names.index(machines.own)
    alone = len(machines.names) == 1
    shared = {
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1" if alone else machines.names[0],
        "MASTER_PORT": str(_free_port() if alone else PORT),
        "GLOO_SOCKET_IFNAME": machines.interface,
        "NCCL_SOCKET_IFNAME": machines.interface,
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
    }
    return [
        shared | {"RANK": str(first + local), "LOCAL_RANK": str(local)} for local in range(count)
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
