"""Data sets: join."""

import shlex
from pathlib import Path
from typing import Any

import click

from cli.output import say
from cli.parameters import Command

FOLDER: Any = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(cls=Command)
@click.argument("data", type=FOLDER)
@click.argument("reviewed", type=FOLDER)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write.  [default: DATA-v2, then -v3, beside DATA]",
)
def join(data: Path, reviewed: Path, out: Path | None) -> None:
    """Join REVIEWED images to DATA, as its next version that `train` takes.

    DATA is the folder that the model was trained on, REVIEWED what `review` wrote: a folder for
    each class. Validation and test stay as they are; images in them are not taken.
    """
    from rich.console import Console
    from rich.progress import Progress

    from infra import interrupt
    from training.data import join as joining

    interrupt.leaves("data set", "Nothing was written.")
    target = out or joining.next_folder(data)
    for folder in (data, reviewed):
        if target.resolve().is_relative_to(folder.resolve()):
            raise click.UsageError(f"{target} is inside {folder}: name another folder by --out.")
    joined = joining.join(data, reviewed, lambda: None)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("images copied", total=None)
        joining.write(
            joined, target, lambda done, of: progress.update(bar, completed=done, total=of)
        )
    interrupt.leaves("data set", f"{target} is written.")
    for sentence in joined.sentences():
        say(sentence)
    say(f"next: ./sortbox train {shlex.quote(str(target))}")
