"""What a search within one job costs beside a single trial.

`python -m benchmarks.training.search photos/ [--trials 12] [--rounds 2]`

Both are the container's `train` in a process of its own, on the same folder: once with one place to
try, once with many. The first line of the log ends start-up: imports, and reading every image once.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).parents[2]
TRIAL = {"debug": "off", "profile-steps": "0", "compile": "none", "tuned": "yes"}
"""As a tuner tells every trial."""

SPACE = "lr=0.001:0.1 batch-size=32,64,128"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.search", description=__doc__
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    settings = parser.parse_args(arguments)
    many = {"search": SPACE, "trials": str(settings.trials)}
    rounds = [
        (_timed(settings.data, {}), _timed(settings.data, many)) for _ in range(settings.rounds)
    ]
    for one, several in rounds:
        print(f"one trial: {_shown(one)}; {settings.trials} trials: {_shown(several)}; "
              f"{several[0] / one[0]:.2f} times")  # fmt: skip
    ratio = median(several[0] / one[0] for one, several in rounds)
    after = median(several[1] for _, several in rounds)
    print(f"median: {ratio:.2f} times as long as one trial, {after:.1f} s after start-up")
    return 0


def _shown(seconds: tuple[float, float]) -> str:
    return f"{seconds[0]:.1f} s, {seconds[1]:.1f} s of them after start-up"


def _timed(data: Path, settings: dict[str, str]) -> tuple[float, float]:
    """Seconds in all, and since the first line of the log."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        config = root / "input" / "config" / "hyperparameters.json"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps(TRIAL | settings))
        (root / "input" / "data").mkdir()
        (root / "input" / "data" / "data").symlink_to(data.resolve())
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "training.train"],
            cwd=REPOSITORY,
            env={**os.environ, "SM_INPUT_DIR": str(root / "input"),
                 "SM_MODEL_DIR": str(root / "model"), "SM_OUTPUT_DIR": str(root / "output"),
                 "SM_CHECKPOINT_DIR": str(root / "checkpoints")},
            stdout=subprocess.PIPE,
            text=True,
        ) as job:  # fmt: skip
            assert job.stdout is not None
            job.stdout.readline()
            first = time.monotonic()
            job.stdout.read()
        assert job.returncode == 0, (root / "output" / "failure").read_text()
        return time.monotonic() - began, time.monotonic() - first


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
