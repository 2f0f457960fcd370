"""Each server as a command, started alone on the machine, watched, and ended."""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from benchmarks.client import LoadRequest
from domain.model import ModelCard

REPOSITORY = Path(__file__).parents[1]
OURS = REPOSITORY / ".venv" / "bin" / "python"
THEIRS = REPOSITORY / ".local" / "bench-venv" / "bin"
READY_SECONDS = 120
STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    argv: tuple[str, ...]
    port: int
    environment: Mapping[str, str]
    ready: str = "/ping"
    healthy: bytes = b""
    """What the answer to `ready` holds once it is meant."""
    path: str = "/invocations"
    form: Literal["raw", "base64"] = "raw"

    def request(self, bodies: Sequence[bytes]) -> LoadRequest:
        if self.form == "raw":
            return LoadRequest(self.port, self.path, "image/jpeg", bodies)
        wrapped = [json.dumps({"image": base64.b64encode(body).decode()}) for body in bodies]
        return LoadRequest(
            self.port, self.path, "application/json", [item.encode() for item in wrapped]
        )


@dataclass(frozen=True, slots=True)
class RunningServer:
    ready_seconds: float
    process: psutil.Process

    def cpu_seconds(self) -> float:
        times = [item.cpu_times() for item in self._family()]
        return float(sum(time.user + time.system for time in times))

    def peak_mebibytes(self) -> float:
        """Of each process the most it ever held; pages that several share count in each."""
        return sum(_peak(item.pid) for item in self._family()) / 1024

    def mebibytes(self) -> float:
        return float(sum(item.memory_info().rss for item in self._family())) / 2**20

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


@contextmanager
def running(contender: Contender, logs: Path) -> Iterator[RunningServer]:
    """Ends the server and everything it started, whatever happens."""
    inherited = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    paths = {"PATH": f"{THEIRS}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    log = logs / f"{contender.name.replace(' ', '-').replace('/', '-')}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            contender.argv,
            env={**inherited, **paths, **contender.environment},
            cwd=logs,
            stdout=stream,
            stderr=stream,
        )
    started = time.perf_counter()
    family = psutil.Process(process.pid)
    try:
        _await(contender, process, log)
        yield RunningServer(time.perf_counter() - started, family)
    finally:
        _end(family)


def _await(contender: Contender, process: "subprocess.Popen[bytes]", log: Path) -> None:
    url = f"http://127.0.0.1:{contender.port}{contender.ready}"
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if contender.healthy in answer.read():
                return
        time.sleep(0.02)
    raise RuntimeError(f"{contender.name} was not ready: see {log}")


def _end(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        family = [*process.children(recursive=True), process]
        process.terminate()
        _, left = psutil.wait_procs(family, STOP_SECONDS)
        for item in left:
            item.kill()


def ours(model: Path, port: int, **variables: str) -> Contender:
    card = ModelCard.from_json((model / "card.json").read_text())
    environment = {
        "SM_MODEL_DIR": str(model),
        "SORTBOX_MODEL_ID": f"{card.name}:1:{card.digest}",
        "SORTBOX_CONTAINER": "sha256:bench",
        "SORTBOX_BIND_HOST": "127.0.0.1",
        "SAGEMAKER_BIND_TO_PORT": str(port),
        **variables,
    }
    name = f"sortbox {model.name.rpartition('-')[2]}"
    return Contender(name, (str(OURS), "-m", "serving"), port, environment)


def peer(name: str, module: str, model: Path, port: int, **environment: str) -> Contender:
    argv = (str(THEIRS / "python"), "-m", f"benchmarks.peers.{module}")
    variables = {"ARCHIVE": str(model), "PORT": str(port), **environment}
    if not module.startswith("litserve"):
        return Contender(name, argv, port, variables)
    return Contender(name, argv, port, variables, "/health", b"ok", "/predict", "base64")


def torchserve(model: Path, port: int, store: Path) -> Contender | None:
    """None where there is no Java, which TorchServe is written in."""
    if shutil.which("java") is None:
        return None
    store.mkdir(parents=True, exist_ok=True)
    handler = REPOSITORY / "benchmarks" / "peers" / "torchserve_handler.py"
    subprocess.run(
        [
            *(THEIRS / "torch-model-archiver", "--model-name", "model", "--version", "1.0"),
            *("--handler", handler, "--export-path", store, "--force"),
        ],
        check=True,
        capture_output=True,
        env={"PATH": os.environ["PATH"]},
    )
    workers = {"minWorkers": 1, "maxWorkers": 1, "batchSize": 8, "maxBatchDelay": 5}
    models = {"model": {"1.0": {"marName": "model.mar", "responseTimeout": 120, **workers}}}
    (store / "config.properties").write_text(
        f"inference_address=http://127.0.0.1:{port}\n"
        f"management_address=http://127.0.0.1:{port + 1}\n"
        f"metrics_address=http://127.0.0.1:{port + 2}\n"
        f"model_store={store}\nload_models=model.mar\ndisable_token_authorization=true\n"
        f"models={json.dumps(models)}\n"
    )
    argv = (
        *(str(THEIRS / "torchserve"), "--start", "--foreground", "--disable-token-auth"),
        *("--ts-config", str(store / "config.properties"), "--model-store", str(store)),
    )
    variables = {"ARCHIVE": str(model), "LOG_LOCATION": str(store), "METRICS_LOCATION": str(store)}
    return Contender(
        "TorchServe", argv, port, variables, "/ping", b'"Healthy"', "/predictions/model"
    )
