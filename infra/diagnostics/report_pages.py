"""Which report a person means: by the name of a folder or of a training job."""

import difflib

from batch.reports.folder_page import PAGE
from domain import keys
from domain.errors import SortboxError
from domain.scope import Scope
from infra.diagnostics.catalog import Catalog, folder_names
from infra.job_reports import fetch_once
from pages.render import path

NEAR = 0.5
"""How alike a name has to be to be suggested: names of jobs share long beginnings."""


class NothingToOpenError(SortboxError):
    """There is no folder or job of that name, or it has no report yet."""


def find_page(catalog: Catalog, name: str) -> str:
    """The path of a report below the viewer's address. Raises NothingToOpenError."""
    bucket = catalog.bucket
    folder = f"{name.removeprefix(keys.INBOX).removeprefix(keys.OUTBOX).rstrip('/')}/"
    report = keys.folder_file(Scope(folder), PAGE)
    if folder != "/" and bucket.head(report) is not None:
        return path(report)
    folders = folder_names(bucket)
    if folder in folders:
        raise NothingToOpenError(
            f"The folder {folder} has no report yet: `./sortbox status {keys.INBOX}{folder}` "
            "shows what it waits for."
        )
    jobs = [str(row["job"]) for row in catalog.rows("jobs")[0]]
    if name in jobs:
        if fetch_once(bucket.client, bucket.name, name) is None:
            raise NothingToOpenError(f"The job {name} has no report: it runs, or it failed early.")
        return f"jobs/{name}/report.html"
    known = [one.rstrip("/") for one in folders] + jobs
    near = difflib.get_close_matches(name.strip("/"), known, 1, NEAR)
    hint = f"Did you mean {near[0]!r}?" if near else "`./sortbox ls` lists them."
    raise NothingToOpenError(f"There is no folder or training job {name!r}. {hint}")
