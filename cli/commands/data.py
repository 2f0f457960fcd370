"""Data sets: check, join."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from cli.errors import REFUSED
from cli.output import say, say_table
from cli.parameters import Command, Group, folder_or_address, stage_option
from cli.stages import connect

if TYPE_CHECKING:
    from rich.progress import Progress

    from infra.stage import Stage
    from training.findings.finding import DataFinding

FINDINGS_SHOWN = 10

FOLDER: Any = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group(cls=Group, name="data")
def data_set() -> None:
    """Check a data set before a model is trained on it."""


@data_set.command(cls=Command)
@click.argument("data", callback=folder_or_address)
@stage_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for `findings.csv` and `findings.json`.  [default: DATA-findings beside DATA]",
)
def check(data: str, stage: "Stage", out: Path | None) -> None:
    """Look for what a model should not learn from in DATA, which `train` takes.

    It finds copies of a picture (resized, recompressed or mirrored) within a class, in two splits
    and with two labels, labels that are probably wrong, outliers, pictures that are too dark,
    blurred, blank or tiny, and classes with too few images. DATA is not changed. Exit code 0:
    nothing was found; 3: something was.
    """
    from rich.console import Console
    from rich.progress import Progress

    from infra import interrupt
    from training.data.dataset import describe
    from training.findings import check as checking
    from training.findings import finding

    interrupt.leaves("data set", "Nothing was written.")
    if data.startswith("s3://"):
        if out is None:
            raise click.UsageError("Data of S3 have no folder beside them: name one by --out.")
        connect(stage)
    target = out or Path(f"{Path(data).resolve()}-findings")
    if target.resolve().is_relative_to(Path(data).resolve()):
        raise click.UsageError(f"{target} is inside {data}: name another folder by --out.")
    finding.refuse_existing(target)
    with (
        Progress(console=Console(stderr=True), transient=True) as progress,
        _local(data, target, progress) as root,
    ):
        bar = progress.add_task("images read", total=None)
        dataset = checking.load(root, lambda: None)

        def on_step(step: str, done: int, of: int) -> None:
            progress.update(bar, description=step, completed=done, total=of)

        findings = checking.check(dataset, on_step)
        images = {split: len(examples) for split, examples in dataset.splits.items()}
        finding.write(findings, images, target)
    interrupt.leaves("data set", f"{target} is written.")
    say(describe(dataset))
    _say_findings(findings)
    path = target / finding.CSV_NAME
    say(f"all findings: {path}")
    if findings and not data.startswith("s3://"):
        say(
            "next: delete the rows of images to keep, and run "
            f"./sortbox train {shlex.quote(data)} --exclude {shlex.quote(str(path))}"
        )
    sys.exit(REFUSED if findings else 0)


def _say_findings(findings: "list[DataFinding]") -> None:
    from training.findings.finding import KINDS, count_kinds

    counts = count_kinds(findings)
    say("")
    if not findings:
        say("Nothing was found.")
        return
    say_table(
        "findings",
        [{"finding": kind, "count": counts[kind], "meaning": KINDS[kind]} for kind in counts],
    )
    say_table(
        f"the first {FINDINGS_SHOWN}" if len(findings) > FINDINGS_SHOWN else "all of them",
        [
            {
                "finding": one.finding,
                "score": f"{one.score:g}",
                "label": one.label,
                "image": one.path or None,
                "other": one.other or None,
            }
            for one in findings[:FINDINGS_SHOWN]
        ],
    )


@click.command(cls=Command)
@click.argument("data", callback=folder_or_address)
@click.argument("reviewed", type=FOLDER)
@stage_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write.  [default: DATA-v2, then -v3, beside DATA]",
)
def join(data: str, reviewed: Path, stage: "Stage", out: Path | None) -> None:
    """Join REVIEWED images to DATA, as its next version that `train` takes.

    DATA is what the model was trained on, a folder or s3://…, and REVIEWED what `review` wrote: a
    folder for each class. Validation and test stay as they are; images in them are not taken.
    """
    from rich.console import Console
    from rich.progress import Progress

    from infra import interrupt
    from training.data import join as joining

    interrupt.leaves("data set", "Nothing was written.")
    if data.startswith("s3://"):
        if out is None:
            raise click.UsageError("Data of S3 have no folder beside them: name one by --out.")
        connect(stage)
    target = out or joining.next_folder(Path(data))
    for folder in (Path(data), reviewed):
        if target.resolve().is_relative_to(folder.resolve()):
            raise click.UsageError(f"{target} is inside {folder}: name another folder by --out.")
    with (
        Progress(console=Console(stderr=True), transient=True) as progress,
        _local(data, target, progress) as root,
    ):
        source = data if data.startswith("s3://") else ""
        joined = joining.join(root, reviewed, lambda: None, source)
        bar = progress.add_task("images copied", total=None)
        joining.write(
            joined, target, lambda done, of: progress.update(bar, completed=done, total=of)
        )
    interrupt.leaves("data set", f"{target} is written.")
    for sentence in joined.sentences():
        say(sentence)
    say(f"next: ./sortbox train {shlex.quote(str(target))}")


@contextmanager
def _local(data: str, target: Path, progress: "Progress") -> Iterator[Path]:
    """The data on this disk; those of S3 are downloaded beside `target`, and deleted at the end."""
    if not data.startswith("s3://"):
        yield Path(data)
        return
    import boto3

    from training.launch import upload

    target.parent.mkdir(parents=True, exist_ok=True)
    bar = progress.add_task("images downloaded", total=None)
    with TemporaryDirectory(prefix=".sortbox-", dir=target.parent) as scratch:
        folder = Path(scratch) / "data"
        for sentence in upload.download(
            boto3.client("s3"),
            data if data.endswith("/") else f"{data}/",
            folder,
            lambda done, of: progress.update(bar, completed=done, total=of),
        ):
            say(f"Left out: {sentence}")
        yield folder
