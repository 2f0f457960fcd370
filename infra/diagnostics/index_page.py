"""The index page of a stage: all folders, jobs, models and runs, each linked to its report."""

from datetime import UTC, datetime

from domain import timestamps
from infra.diagnostics.catalog import KINDS, PAGE_KEY, Catalog, Row, readable
from pages.render import path, render

EMPTY = {
    "folders": "No folder has been uploaded to inbox/.",
    "jobs": "No training job has been started.",
    "models": "No model is active or registered.",
    "runs": "Nothing runs, and no reclassification has ended.",
}


def page(catalog: Catalog) -> str:
    """Links are relative to the address that shows the page, below which keys are paths."""
    lists = []
    for kind in KINDS:
        rows, has_more = catalog.rows(kind)
        heads = [name.replace("_", " ") for name in readable(rows[0])] if rows else []
        shown = [{"cells": [*readable(row).values()], "href": _href(row)} for row in rows]
        lists.append(
            {"name": kind.capitalize(), "heads": heads, "rows": shown, "has_more": has_more}
            | {"empty": EMPTY[kind]}
        )
    title = f"Stage {catalog.stage.name}"
    made_at = timestamps.to_text(datetime.now(UTC))
    return render("runs/index.html.jinja", title=title, lists=lists, made_at=made_at)


def _href(row: Row) -> str | None:
    if row.get("kind") == "training":
        return f"jobs/{row['job']}/report.html"
    return path(row[PAGE_KEY]) if row.get(PAGE_KEY) else None
