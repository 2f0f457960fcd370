"""Finding one's way: ls, open."""

import webbrowser
from typing import TYPE_CHECKING

import click

from cli.output import say, say_json, say_table
from cli.parameters import Choice, Command, stage_option
from cli.stages import connect

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
    catalog = _catalog(stage)
    for kind in lists or LISTS:
        rows, has_more = catalog.rows(kind)
        if as_json:
            for row in rows:
                say_json({"list": kind} | dict(row))
            continue
        say_table(kind.capitalize(), [_without_page(dict(row)) for row in rows])
        if has_more:
            say(f"There are more; these are the first {len(rows)}.")


@click.command(cls=Command, name="open")
@click.argument("name", default="")
@stage_option()
@click.option("--no-browser", is_flag=True, help="Print the address; open nothing.")
def open_report(name: str, stage: "Stage", no_browser: bool) -> None:
    """Show a report in the browser: of a folder, of a training job, or the index of all.

    NAME is a folder (`trip`) or a training job; `ls` lists both. Reports are read with your
    credentials and shown at an address of this machine until Ctrl-C.
    """
    from infra.diagnostics import index_page
    from infra.diagnostics.report_pages import find_page
    from infra.job_reports import fetch_once
    from infra.viewer import Viewer, listen

    catalog = _catalog(stage)
    bucket = catalog.bucket
    viewer = Viewer(
        bucket,
        lambda: index_page.page(catalog),
        lambda job: fetch_once(bucket.client, bucket.name, job),
    )
    page = find_page(catalog, name) if name else ""
    server = listen(viewer)
    say(f"{server.address}{page}")
    say("Ctrl-C ends it.")
    if not no_browser:
        webbrowser.open(f"{server.address}{page}")
    server.run()


def _catalog(stage: "Stage") -> "Catalog":
    import boto3

    from aws.bucket import Bucket
    from infra.diagnostics.catalog import Catalog

    connect(stage)
    return Catalog(stage, Bucket(boto3.client("s3"), stage.bucket), boto3.client("sagemaker"))


def _without_page(row: dict[str, object]) -> dict[str, object]:
    row.pop("page", None)
    return row
