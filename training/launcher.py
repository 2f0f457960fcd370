"""One process per GPU, on one or more machines: started, signalled and ended together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from domain.instance import explain_unusable_gpu, has_gpu
from training.config.errors import TrainingFailed

MASTER_PORT = 29500
"""Of the rendezvous: torch's default."""

POLL_SECONDS = 0.1
GRACE_SECONDS = 60.0
"""From SIGTERM to SIGKILL; SageMaker leaves 120."""


@dataclass(frozen=True, slots=True)
class Hosts:
    names: tuple[str, ...] = ("localhost",)
    current: str = "localhost"
    interface: str = "lo"

    @classmethod
    def read(cls, config: Path) -> "Hosts":
        """resourceconfig.json; absent outside SageMaker."""
        path = config / "resourceconfig.json"
        if not path.exists():
            return cls()
        content = json.loads(path.read_text())
        names = tuple(content["hosts"])
        if len(names) == 1:
            return cls()
        return cls(names, content["current_host"], content.get("network_interface_name", "eth0"))


def check_gpu(config: Path, is_available: Callable[[], bool] = torch.cuda.is_available) -> None:
    """Raises TrainingFailed on an instance type with a GPU that PyTorch cannot use.

    Training on its CPU would end late, at a GPU's price, and without a word.
    """
    path = config / "resourceconfig.json"
    if not path.exists():
        return
    instance_type = json.loads(path.read_text()).get("current_instance_type", "")
    if has_gpu(instance_type) and not is_available():
        raise TrainingFailed(
            f"{instance_type} has a GPU that this image cannot use: "
            f"{explain_unusable_gpu(torch.version.cuda)}."
        )


def process_count(processes: int) -> int:
    """Processes per machine; 0: one per GPU."""
    return processes or torch.cuda.device_count() or 1


def run_processes(
    hosts: Hosts, count: int, arguments: list[str], environ: Mapping[str, str]
) -> int:
    """Returns the first exit status that is not 0. When one process fails, all are terminated."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "training.train", *arguments],
            env={**environ, **variables},
        )
        for variables in _process_environments(hosts, count)
    ]

    def pass_on(number: int, frame: object) -> None:
        for child in children:
            child.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        return _wait_for_all(children)
    finally:
        signal.signal(signal.SIGTERM, before)
        _terminate(children)


def _wait_for_all(children: "list[subprocess.Popen[bytes]]") -> int:
    while True:
        codes = [child.poll() for child in children]
        failed = next((code for code in codes if code), None)
        if failed is not None:
            return failed if failed > 0 else 128 - failed  # by a signal: as a shell has it
        if None not in codes:
            return 0
        time.sleep(POLL_SECONDS)


def _terminate(children: "list[subprocess.Popen[bytes]]") -> None:
    """A process whose peer died blocks in a collective and may ignore SIGTERM."""
    deadline = time.monotonic() + GRACE_SECONDS
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _process_environments(hosts: Hosts, count: int) -> list[dict[str, str]]:
    """torch's variables, one mapping per process of this machine."""
    size = count * len(hosts.names)
    first = count * hosts.names.index(hosts.current)
    alone = len(hosts.names) == 1
    shared = {
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1" if alone else hosts.names[0],
        "MASTER_PORT": str(_free_port() if alone else MASTER_PORT),
        "GLOO_SOCKET_IFNAME": hosts.interface,
        "NCCL_SOCKET_IFNAME": hosts.interface,
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
