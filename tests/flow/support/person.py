"""A person at a terminal, with the local cloud in the environment."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.local.cloud import LocalCloud
from infra.local.place import REPOSITORY, VARIABLE

RULES = "training.managed_debugger.rule_job"
"""What our image runs and the stand-in does not; both are of one repository."""


@dataclass(frozen=True)
class Person:
    """Types commands in an empty folder."""

    cloud: LocalCloud
    folder: Path

    @property
    def image(self) -> str:
        """Ours, as it was when the cloud went up."""
        known = json.loads(self.cloud.place.images.read_text())
        [ours] = [uri for uri, each in known.items() if RULES in each.get("rules", ())]
        return str(ours)

    def types(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`./sortbox COMMAND --stage local …`, in the environment that runs the tests."""
        place = {VARIABLE: str(self.cloud.place.root), "COLUMNS": "200"}
        return subprocess.run(
            [
                *(sys.executable, str(REPOSITORY / "cli"), command),
                *("--stage", self.cloud.stage, *arguments),
            ],
            cwd=self.folder,
            env=self.cloud.environment | place,
            capture_output=True,
            text=True,
            check=False,
        )

    def promotes(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.types("promote", "--image", self.image, *arguments)

    def trains(self, data: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return self.types("train", str(data), "--image", self.image, *options)

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
