"""Our SageMaker as a process that tests start, stop and kill."""

import json
import os
import socket
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError

import psutil

from infra.local import processes
from tests.contract.local_sagemaker.support.patience import PATIENCE, until

ROOT = Path(__file__).parents[4]
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/sortbox:stand-in"
TRAINED = "000000000000.dkr.ecr.us-east-1.amazonaws.com/sortbox:trained"
"""Trains, where the other only says so."""

QUOTAS = {
    "* for endpoint usage": 1000,
    "* for transform job usage": 2,
    "* for spot training job usage": 1,
    "* for training job usage": 2,
}

NO_RATES: Mapping[str, float] = {}

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class Server:
    """`python -m infra.local.sagemaker`, started and stopped at will over one state folder."""

    def __init__(self, folder: Path, aws: str, events: str) -> None:
        self.state = folder / "state"
        self.images = folder / "images.json"
        stand_in = {
            "argv": [sys.executable, "-m", "tests.stand_in"],
            "train": [sys.executable, "-m", "tests.stand_in.train"],
            "rules": [sys.executable, "-m", "tests.stand_in.rules"],
            "cwd": str(ROOT),
        }
        trained = {
            **stand_in,
            "train": [sys.executable, "-m", "training.train"],
            "rules": [sys.executable, "-m", "training.managed_debugger.rule_job"],
            "env": {"OMP_NUM_THREADS": "1"},
        }
        self.images.write_text(json.dumps({IMAGE: stand_in, TRAINED: trained}))
        self.accounts = folder / "accounts.json"
        self.allow(QUOTAS)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._env = {
            **CREDENTIALS,
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": aws,
            "AWS_ENDPOINT_URL_EVENTBRIDGE": events,
        }
        self._log = folder / "server.log"
        self.options: list[str] = []
        """More of them, from the next start on."""
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def allow(self, quotas: Mapping[str, int], rates: Mapping[str, float] = NO_RATES) -> None:
        """What the account may have, from the next start on."""
        ours = {"concurrent functions": None, "quotas": quotas, "rates": rates}
        self.accounts.write_text(json.dumps({"of these tests": ours}))

    def start(self) -> None:
        self.child = self.another()
        until(self._is_up)

    def another(self) -> processes.Child:
        """One more process over the same state and port."""
        argv = [sys.executable, "-m", "infra.local.sagemaker", "--port", str(self.port)]
        argv += ["--state", str(self.state), "--images", str(self.images)]
        argv += ["--accounts", str(self.accounts), "--account", "of these tests"]
        argv += ["--ready-seconds", "5", "--invocation-seconds", "2"]
        argv += ["--serverless-idle-seconds", "0.5", *self.options]
        return processes.start(argv, self._env, self._log, f"test-sagemaker-{self.port}", ROOT)

    def plant(self, kind: str, *failures: str) -> None:
        """The next jobs of the kind fail for these reasons of AWS's own."""
        (self.state / "planted.json").write_text(json.dumps({kind: failures}))

    def stop(self) -> None:
        self.child.stop()

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        ours = [psutil.Process(found.pid) for found in processes.find_running(self.child.name)]
        [server] = [process for process in ours if process.parent() in ours]
        server.kill()
        self.child.exited.result(timeout=PATIENCE)

    def log_of(self, name: str) -> str:
        """Empty until the container says something."""
        log = self.state / "logs" / f"{name}.log"
        return log.read_text() if log.exists() else ""

    def _is_up(self) -> bool:
        assert self.child.is_alive, self._log.read_text()
        try:
            urllib.request.urlopen(f"{self.url}/ping", timeout=2).close()
        except HTTPError as refusal:  # of whoever does not sign
            with refusal:
                return refusal.code == 403
        except OSError:
            return False
        return False
