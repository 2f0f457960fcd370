"""A person at a terminal, with the local cloud in the environment."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.local.cloud import Cloud
from infra.local.place import REPOSITORY


@dataclass(frozen=True)
class Person:
    """Types commands in an empty folder."""

    cloud: Cloud
    folder: Path

    @property
    def image(self) -> str:
        """Ours, as it was when the cloud went up."""
        known = json.loads(self.cloud.place.images.read_text())
        [ours] = [uri for uri in known if "/sortbox@" in uri]
        return str(ours)

    def types(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, "--stage", self.cloud.stage, *arguments],
            cwd=self.folder,
            env=self.cloud.environment | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )

    def promotes(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.types("training.promote", "--image", self.image, *arguments)

    def trains(self, data: Path, *told: str) -> subprocess.CompletedProcess[str]:
        asked = "--image", self.image, "--data", str(data), "--", *told
        return self.types("training.launch", *asked)

    def asks(self, script: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=self.folder,
            env=self.cloud.environment | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
