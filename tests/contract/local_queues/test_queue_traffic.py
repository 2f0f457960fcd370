"""Queues of the emulator that many threads use at once lose nothing and keep nothing."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.local.place import EMULATOR_PYTHON, REPOSITORY

SECONDS = 4


@pytest.mark.flow
def test_threads_that_send_receive_put_off_and_delete_lose_no_message(tmp_path: Path) -> None:
    """A message that is lost is an image without an answer, and one that could not be put off is
    hidden for up to 40 minutes.
    """
    if not EMULATOR_PYTHON.exists():
        pytest.skip(f"{EMULATOR_PYTHON} does not exist: `make env` builds it")
    module = "tests.contract.local_queues.traffic"
    command = [str(EMULATOR_PYTHON), "-m", module, str(tmp_path), str(SECONDS)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["failed"] == []
    assert len(found["deleted"]) > 100, "the threads have hardly worked"
    assert found["memory"] == found["expected"]
    assert found["disk"] == found["expected"]
