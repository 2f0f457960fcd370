"""Answers in the outbox: status, reclassify, review."""

import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import say, say_json
from cli.parameters import Choice, Command, stage_option
from cli.stages import connect, console_folder
from domain import timestamps

if TYPE_CHECKING:
    from infra.stage import Stage

WATCH_SECONDS = 3


@click.command(cls=Command)
@click.argument("key", default="")
@stage_option()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
@click.option("--watch", is_flag=True, help="Show it again every few seconds, until Ctrl-C.")
def status(key: str, stage: "Stage", as_json: bool, watch: bool) -> None:
    """Show where an image or a folder is, and what it waits for.

    KEY is a key in the inbox: `inbox/cat.jpg`, or `inbox/trip/` for a folder; `trip` will do.
    Without it, the whole stage.
    """
    import boto3

    from aws.bucket import Bucket
    from infra.diagnostics.findings import StatusSources
    from infra.diagnostics.inbox_keys import find_key
    from infra.diagnostics.status import everything, explain

    connect(stage)
    bucket = Bucket(boto3.client("s3"), stage.bucket)
    sources = StatusSources(stage, bucket, boto3.client("sqs"), boto3.client("sagemaker"))
    key = find_key(bucket, key)

    def show() -> None:
        for finding in explain(sources, key) if key else everything(sources):
            document = {"about": finding.about, "sentence": finding.sentence} | dict(finding.facts)
            if as_json:
                say_json(document)
            else:
                say(finding.sentence)

    show()
    with suppress(KeyboardInterrupt):
        while watch:
            time.sleep(WATCH_SECONDS)
            if not as_json:
                click.clear()
                say(f"{timestamps.to_text(datetime.now(UTC))}; Ctrl-C ends it.")
            show()


@click.command(cls=Command)
@stage_option()
@click.option("--prefix", default="inbox/", show_default=True, help="What to reclassify.")
@click.option(
    "--kind",
    type=Choice(("renewal", "unanswered"), "KIND"),
    default="renewal",
    show_default=True,
    help="renewal: all that the active model did not answer; unanswered: what has no answer.",
)
@click.option("--rate", type=float, help="Images a second of one instance, for the estimate.")
@click.option("--dry-run", is_flag=True, help="Count and estimate; start nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print the plan as JSON.")
@click.option("--yes", is_flag=True, help="Start without asking.")
@click.option("--stop", is_flag=True, help="Stop after what runs now; a new start resumes it.")
@click.option("--end", is_flag=True, help="Give it up: what is not done is left undone.")
def reclassify(
    stage: "Stage",
    prefix: str,
    kind: str,
    rate: float | None,
    dry_run: bool,
    as_json: bool,
    yes: bool,
    stop: bool,
    end: bool,
) -> None:
    """Bring every answer up to date with the active model, by batch transform."""
    from infra.diagnostics.cost import TYPICAL
    from infra.reclassify import Reclassifier, ReclassifyRequest, make_plan, run

    if as_json and (not dry_run or stop or end):
        raise click.UsageError("--json goes with --dry-run.")
    connect(stage)
    request = ReclassifyRequest(
        prefix=prefix,
        kind="unanswered" if kind == "unanswered" else "renewal",
        rate=rate or TYPICAL.rate,
        dry_run=dry_run,
        yes=yes,
        stop=stop,
        end=end,
    )
    if as_json:
        say_json(make_plan(Reclassifier.of(stage), request).document)
        return
    for sentence in run(Reclassifier.of(stage), request, confirm):
        say(sentence)


def start_reclassification(stage: "Stage", yes: bool) -> None:
    """After the model has changed: start it, or show what it would take."""
    from infra.reclassify import Reclassifier, ReclassifyRequest, run

    for sentence in run(
        Reclassifier.of(stage), ReclassifyRequest(yes=yes, dry_run=not yes), confirm
    ):
        say(sentence)


def confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        click.echo("Not a terminal: pass --yes to confirm.", err=True)
        return False
    return click.confirm(question)


@click.command(cls=Command)
@stage_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("review"),
    show_default=True,
    help="The folder to write: a folder for each class.",
)
@click.option("--folder", default="", metavar="NAME", help="Take images of this folder only.")
@click.option(
    "--model",
    default="",
    metavar="NAME[:VERSION]",
    help="Take answers of this model only; `any` takes all.  [default: the active one]",
)
@click.option(
    "--list",
    "list_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the list to this CSV file, in place of downloading images.",
)
@click.option(
    "--decimal-comma", is_flag=True, help="For a spreadsheet that writes 0,5: with semicolons."
)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A review list with its column `corrected` filled in: take those images only.",
)
@click.option(
    "--corrections",
    is_flag=True,
    help="Take the images that people have corrected in the console, each in its right class.",
)
@click.option(
    "--new-class",
    "new_classes",
    multiple=True,
    metavar="LABEL",
    help="With --csv, a label that the model does not have. Repeatable.",
)
@click.option(
    "--encoding",
    default="",
    metavar="NAME",
    help="Of the list, such as cp932.  [default: UTF-8, UTF-16 or Windows-1252, as it looks]",
)
def review(
    stage: "Stage",
    out: Path,
    folder: str,
    model: str,
    list_path: Path | None,
    decimal_comma: bool,
    table: Path | None,
    corrections: bool,
    new_classes: tuple[str, ...],
    encoding: str,
) -> None:
    """Download the images that a person should check, as a folder that `train` takes.

    `join` adds that folder to the data that the model was trained on.
    """
    if list_path and table:
        raise click.UsageError("--list writes a list, and --csv reads one: pass one of them.")
    if corrections and (list_path or table or model):
        raise click.UsageError("--corrections takes images of any model, and no list.")
    import boto3

    from aws.bucket import Bucket
    from infra import interrupt
    from infra.review import fetch, lists
    from infra.review.stored import CorrectionStore

    connect(stage)
    bucket = Bucket(boto3.client("s3"), stage.bucket)
    if list_path:
        entries, filtered = lists.select(bucket, folder, model)
        lists.save(entries, list_path, decimal_comma)
        say(f"Images in {list_path}: {len(entries)}. Fill in `corrected`, and save it as CSV.")
        say_filtered(filtered)
        return
    interrupt.leaves("images", f"The images in {out} stay; the same command fetches the others.")
    if table:
        ask = confirm if sys.stdin.isatty() else None
        filled = fetch.PersonsList(table, encoding, new_classes, ask)
        selection = lists.filter_of(bucket, folder, model or lists.ANY_MODEL)
        counts = fetch.fetch_corrected(bucket, filled, selection, out)
    elif corrections:
        store = CorrectionStore(bucket, console_folder(bucket.name))
        selection = lists.filter_of(bucket, folder, lists.ANY_MODEL)
        counts = fetch.fetch_stored(bucket, store, selection, out)
    else:
        entries, filtered = lists.select(bucket, folder, model)
        counts = fetch.fetch(bucket, entries, out)
        say_filtered(filtered)
    for sentence in counts.sentences(out):
        say(sentence)


def say_filtered(count: int) -> None:
    if count:
        say(f"Left out, because other models gave the answer: {count}. `--model any` takes them.")
