"""Finding one's way, and using a stage in the browser: ls, open, console."""

import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from cli.output import say, say_json, say_table
from cli.parameters import Choice, Command, stage_option
from cli.stages import connect, console_folder

if TYPE_CHECKING:
    from infra.diagnostics.catalog import Catalog
    from infra.stage import Stage

LISTS = ("folders", "jobs", "models", "runs")
"""A test holds these to the lists of `infra.diagnostics.catalog`."""


@click.command(cls=Command)
@click.argument("lists", nargs=-1, type=Choice(LISTS), metavar="[folders|jobs|models|runs]…")
@stage_option()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
def ls(lists: tuple[str, ...], stage: "Stage", as_json: bool) -> None:
    """List folders, training jobs, models and runs; without a name, all of them."""
    from infra.diagnostics.catalog import readable

    catalog = _catalog(stage)
    for kind in lists or LISTS:
        rows, has_more = catalog.rows(kind)
        if as_json:
            for row in rows:
                say_json({"list": kind} | dict(row))
            continue
        say_table(kind.capitalize(), [readable(row) for row in rows])
        if has_more:
            say(f"There are more; these are the first {len(rows)}.")


@click.command(cls=Command, name="open")
@click.argument("name", default="")
@stage_option()
@click.option("--no-browser", is_flag=True, help="Print the address; open nothing.")
def open_report(name: str, stage: "Stage", no_browser: bool) -> None:
    """Show a report in the browser: of a folder, of a training job, or the index of all.

    NAME is a folder (`trip`) or a training job; `ls` lists both. It opens a console that is
    read-only, and ends with Ctrl-C.
    """
    from infra.diagnostics.report_pages import find_page

    page = find_page(_catalog(stage), name) if name else ""
    _serve(stage, f"/reports/{page}", no_browser, read_only=True)


@click.command(cls=Command)
@stage_option()
@click.option("--read-only", is_flag=True, help="Show everything, and change nothing.")
@click.option("--no-browser", is_flag=True, help="Print the address; open nothing.")
@click.option(
    "--port", type=click.IntRange(1024, 65535), help="Listen on this port.  [default: a free one]"
)
def console(stage: "Stage", read_only: bool, no_browser: bool, port: int | None) -> None:
    """Use a stage in the browser: drop images, watch answers, correct, train, promote.

    The page works with your own credentials, at an address of this machine that only you know,
    until Ctrl-C. Nothing is deployed for it.
    """
    connect(stage)
    _serve(stage, "/", no_browser, read_only, port or 0)


def _serve(
    stage: "Stage", path: str, no_browser: bool, read_only: bool = False, port: int = 0
) -> None:
    import boto3

    from aws.bucket import Bucket
    from console.context import SLOW, Console, bound_clients
    from console.web.server import listen

    bound_clients()
    name = stage.bucket
    opened = Console(
        stage=stage,
        bucket=Bucket(boto3.client("s3"), name),
        sagemaker=boto3.client("sagemaker"),
        runtime=boto3.client("sagemaker-runtime", config=SLOW),
        sqs=boto3.client("sqs"),
        folder=console_folder(name),
        read_only=read_only,
        slow_bucket=Bucket(boto3.client("s3", config=SLOW), name),
    )
    server = listen(opened, path, port)
    say(server.address)
    say("Ctrl-C ends it.")
    if not no_browser:
        webbrowser.open(server.address)
    with suppress(KeyboardInterrupt):
        server.run()


def _catalog(stage: "Stage") -> "Catalog":
    import boto3

    from aws.bucket import Bucket
    from infra.diagnostics.catalog import Catalog

    connect(stage)
    return Catalog(stage, Bucket(boto3.client("s3"), stage.bucket), boto3.client("sagemaker"))
