"""python -m tests.stand_in.train: learns nothing, and does what its hyperparameters say.

Each step prints a line of metrics and leaves a checkpoint; the model is a list of what was given.
Given an `lr`, it has a score as well, which rises to its best with the last step.
"""

import json
import math
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BEST = 0.02


@dataclass(frozen=True, slots=True)
class Told:
    steps: int = 3
    step_ms: int = 0
    die_at: int | None = None
    """Exit with status 3 before this step."""
    failure: str | None = None
    """Write this to /opt/ml/output/failure when dying."""
    deaf: bool = False
    """Go on when asked to end."""
    lr: float | None = None
    """The best is BEST."""

    @classmethod
    def read(cls, hyperparameters: Path) -> "Told":
        given = json.loads(hyperparameters.read_text())
        die_at = given.get("die_at")
        return cls(
            steps=int(given.get("steps", "3")),
            step_ms=int(given.get("step_ms", "0")),
            die_at=int(die_at) if die_at else None,
            failure=given.get("failure"),
            deaf=given.get("deaf") == "true",
            lr=float(given["lr"]) if "lr" in given else None,
        )


def main() -> int:
    config, channels = Path(os.environ["SM_INPUT_CONFIG_DIR"]), Path(os.environ["SM_INPUT_DIR"])
    told = Told.read(config / "hyperparameters.json")
    signal.signal(signal.SIGTERM, signal.SIG_IGN if told.deaf else _end)
    checkpoint = Path(os.environ["SM_CHECKPOINT_DIR"], "step")
    first = int(checkpoint.read_text()) + 1 if checkpoint.exists() else 1
    print(f"from step {first}", flush=True)
    for step in range(first, told.steps + 1):
        if step == told.die_at:
            return _die(told)
        time.sleep(told.step_ms / 1000)
        print(f"step={step} loss={1 / step:.7g}", flush=True)
        if told.lr is not None:
            print(_epoch(told.lr, step, told.steps), flush=True)
        _keep(checkpoint, step)
    _write_model({"first": first, "files": _files(channels / "data"), "config": _config(config)})
    return 0


def _epoch(lr: float, step: int, steps: int) -> str:
    """The score falls by 1 with each decade that `lr` is off."""
    score = step / steps - abs(math.log10(lr / BEST))
    right = 1 / (1 + math.exp(-score))
    return (
        f"epoch={step} validation_loss={1 - right:.7g} validation_accuracy={right:.7g} "
        f"score={score:.7g}"
    )


def _keep(checkpoint: Path, step: int) -> None:
    """Whole or not at all: the signal to end may come in between."""
    written = checkpoint.with_name(".step")
    written.write_text(str(step))
    written.replace(checkpoint)


def _die(told: Told) -> int:
    if told.failure:
        Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text(told.failure)
    print("told to die", file=sys.stderr, flush=True)
    return 3


def _end(*_: object) -> None:
    _write_model({"ended": "early"})
    raise SystemExit(0)


def _write_model(seen: dict[str, object]) -> None:
    Path(os.environ["SM_MODEL_DIR"], "seen.json").write_text(json.dumps(seen))
    Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt").write_text("a report")


def _files(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(errors="replace") for path in files}


def _config(folder: Path) -> dict[str, object]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.iterdir())}


if __name__ == "__main__":
    sys.exit(main())
