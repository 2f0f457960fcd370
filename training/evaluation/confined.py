"""Evaluates an untrusted model archive on labelled images in a confined process.

Models are read by native code (OpenVINO's XML reader, oneDNN, safetensors), and the archive is
untrusted. So it is read by `training.evaluation.confined_process`, with no credentials in its
environment, with limits on memory, time, files and processes, without a network where the
kernel allows it, and its output is parsed as untrusted input:
docs/decisions/0025-confined-evaluation.md
"""

import json
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.archive import CARD
from domain.foreign import visible
from domain.model import ModelCard, ModelId, parse_json
from serving.archive import ModelLoadError
from training.data.dataset import Example
from training.evaluation.confined_process import IMAGES_PER_BATCH, EvaluationRequest
from training.model.package import unpack

REPOSITORY = Path(__file__).parents[2]
PROGRAM = "training.evaluation.confined_process"

SILENT_SECONDS = 300
"""Loading, or one batch of 16 images, takes less: seconds for the networks that people use, and 160
for the largest of torchvision's on two cores. Then the process is killed."""

MEMORY_BYTES = 6 * 2**30
"""Of address space, of which torch's libraries alone take 3.4 GB; more for a model by its size."""

THREAD_BYTES = 2**29
COPIES_PER_CORE = 6
"""Of the values, for each core: one a size of batch that OpenVINO compiles, and one to compile."""

ROW_BYTES = 80
LINE_BYTES = 4096 + IMAGES_PER_BATCH * ROW_BYTES
TAIL_BYTES = 4096


class ConfinedProcessError(ModelLoadError):
    """The process failed, hung or wrote invalid output; the sentence says which."""


class UnknownLabelsError(ValueError):
    """A folder is not one of the model's labels."""


def evaluate(
    archive: Path,
    root: Path,
    examples: Sequence[Example],
    labels: Sequence[str],
    seconds: float = SILENT_SECONDS,
    program: str = PROGRAM,
) -> tuple[ModelCard, NDArray[np.float64]]:
    """The card, and rows as `prediction.to_rows` makes them, in the order of `examples`.

    `labels`: by the examples' numbers; `seconds`: without output for longer, the process is killed;
    `program`: the module to run. Raises PackageError for anything but a model archive,
    ModelLoadError for a model that cannot be loaded or misbehaves, and UnknownLabelsError.
    """
    with tempfile.TemporaryDirectory(prefix="sortbox-judge-") as name:
        scratch = Path(name)
        card = unpack(archive, scratch / "model")
        number = {label: index for index, label in enumerate(card.labels)}
        if strange := sorted(set(labels) - set(number)):
            raise UnknownLabelsError(
                f"{card.name} does not know {len(strange)} of the classes, such as "
                f"{visible(strange[0])}."
            )
        truth = [number[labels[example.label]] for example in examples]
        request = _request(scratch / "model", card, root.resolve(), examples, truth, seconds)
        (scratch / "tmp").mkdir()
        (scratch / "request.json").write_text(json.dumps(request))
        lines = _run_process(scratch, seconds, program)
        rows = np.array(_rows(lines, len(examples), len(card.labels)), np.float64).reshape(-1, 3)
        return card, np.column_stack([np.array(truth, np.float64), rows])


def _request(
    model: Path,
    card: ModelCard,
    root: Path,
    examples: Sequence[Example],
    truth: list[int],
    seconds: float,
) -> EvaluationRequest:
    cores = os.cpu_count() or 1
    values = sum(path.stat().st_size for path in model.rglob("*") if path.name != CARD)
    links = {
        str((root / example.path).resolve().parent)
        for example in examples
        if (root / example.path).is_symlink()
    }
    return EvaluationRequest(
        model=str(model),
        promised=str(ModelId(card.name, 0, card.digest)),
        root=str(root),
        paths=[example.path for example in examples],
        truth=truth,
        temporary=str(model.with_name("tmp")),
        readable=[str(root), *sorted(links)],
        memory_bytes=MEMORY_BYTES + cores * (THREAD_BYTES + COPIES_PER_CORE * values),
        processor_seconds=math.ceil(cores * seconds * (2 + len(examples) / IMAGES_PER_BATCH)),
        processes=_own_tasks() + 256 + 8 * cores,
    )


def _own_tasks() -> int:
    """Threads and processes of this user, which RLIMIT_NPROC counts together."""
    count = 0
    for process in Path("/proc").glob("[0-9]*/task"):
        with suppress(OSError):
            if process.stat().st_uid == os.getuid():
                count += sum(1 for _ in process.iterdir())
    return count


def _run_process(scratch: Path, seconds: float, program: str) -> Iterator[bytes]:
    """The process's lines, each at most LINE_BYTES. Raises JudgeFailed when it is over badly."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(scratch / "tmp"),
        "TMPDIR": str(scratch / "tmp"),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", program, str(scratch / "request.json")],
        cwd=scratch / "tmp",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    tail = bytearray()
    try:
        yield from _lines(process, tail, seconds)
        status = process.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise ConfinedProcessError(
            "The process that evaluates the model did not end: it was killed."
        ) from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
    if status:
        raise ConfinedProcessError(_describe_exit(status, tail))


def _lines(process: "subprocess.Popen[bytes]", tail: bytearray, seconds: float) -> Iterator[bytes]:
    """Until it closes its output; `tail` keeps the end of its standard error."""
    line, until = bytearray(), time.monotonic() + seconds
    with selectors.DefaultSelector() as ready:
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None, "Popen has pipes"
            ready.register(pipe, selectors.EVENT_READ)
        while process.stdout in {key.fileobj for key in ready.get_map().values()}:
            events = ready.select(max(0.0, until - time.monotonic()))
            if not events:
                raise ConfinedProcessError(
                    f"The model did not load, or did not classify {IMAGES_PER_BATCH} images, "
                    "within "
                    f"{seconds:g} s; the process that evaluates it was killed."
                )
            for key, _ in events:
                piece = os.read(key.fd, LINE_BYTES)
                if not piece:
                    ready.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    tail[:] = (tail + piece)[-TAIL_BYTES:]
                else:
                    *whole, rest = (line + piece).split(b"\n")
                    line = bytearray(rest)
                    if len(line) > LINE_BYTES:
                        raise ConfinedProcessError(
                            "The process that evaluates the model wrote too much."
                        )
                    until = time.monotonic() + seconds if whole else until
                    yield from map(bytes, whole)


def _rows(lines: Iterator[bytes], images: int, labels: int) -> list[tuple[float, float, float]]:
    """Predicted label, its probability, and that of the truth. Raises ModelLoadError."""
    rows: list[tuple[float, float, float]] = []
    most = 3 + math.ceil(images / IMAGES_PER_BATCH)
    for count, line in enumerate(lines):
        if count == most or len(line) > LINE_BYTES:
            raise ConfinedProcessError("The process that evaluates the model wrote too much.")
        match _parse_line(line):
            case {"missing": list()}:
                pass
            case {"rows": list(batch)} if all(_is_row(row, labels) for row in batch):
                rows += [(row[0], row[1], row[2]) for row in batch]
            case {"error": str(sentence)}:
                raise ModelLoadError(visible(sentence)[:500])
            case _:
                raise ConfinedProcessError(
                    "The process that evaluates the model wrote invalid output."
                )
    if len(rows) != images:
        raise ConfinedProcessError(f"The model answered {len(rows):,} of {images:,} images.")
    return rows


def _parse_line(line: bytes) -> Any:
    try:
        return parse_json(line.decode())
    except ValueError:
        return None


def _is_row(row: object, labels: int) -> bool:
    if not isinstance(row, list) or len(row) != 3 or not all(type(x) in (int, float) for x in row):
        return False
    predicted, *probabilities = (float(number) for number in row)
    is_label = predicted.is_integer() and 0 <= predicted < labels
    return is_label and all(0 <= one <= 1.0001 for one in probabilities)


def _describe_exit(status: int, tail: bytearray) -> str:
    """Its status, and the last line it wrote, escaped because it is untrusted."""
    ended = f"ended with status {status}"
    if status < 0:
        with suppress(ValueError):
            ended = f"was ended by {signal.Signals(-status).name}"
    lines = bytes(tail).decode(errors="replace").strip().splitlines()
    last = f" It said: {visible(lines[-1])[:200]}" if lines else ""
    return f"The process that evaluates the model {ended}.{last}"
