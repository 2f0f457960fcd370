"""What a stage holds, for `ls`, `open` and the index page: folders, jobs, models and runs.

At most MAX_ROWS of each kind are listed. Listing the folders costs a LIST per thousand names
directly below `inbox/` and `outbox/`, at most MAX_PAGES of each, and two GETs per folder.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from aws import active_model
from aws.bucket import Bucket, Listed, contents
from batch import claim
from batch.claim import SUMMARY
from batch.reports.change_report import PAGE as CHANGE_PAGE
from batch.reports.folder_page import PAGE
from batch.status import STATUS
from domain import keys, timestamps
from domain.keys import INBOX, OUTBOX
from domain.route import Ignored, Single, route
from domain.scope import Scope
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

MAX_ROWS = 200
MAX_PAGES = 20
READS_AT_ONCE = 8
PAGE_KEY = "page"
"""The field of a row with the key of its report, which is for links and scripts."""

Row = Mapping[str, Any]
"""A row of a list, for a table and for a script: values are text, numbers or None."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The clients that a stage is listed with."""

    stage: Stage
    bucket: Bucket
    sagemaker: "SageMakerClient"

    def rows(self, kind: str) -> tuple[list[Row], bool]:
        """The rows of a kind, and whether there are more. Raises KeyError for an unknown kind."""
        rows = list(islice(KINDS[kind](self), MAX_ROWS + 1))
        return rows[:MAX_ROWS], len(rows) > MAX_ROWS


def readable(row: Row) -> Row:
    """The fields that a person reads in a table."""
    return {name: value for name, value in row.items() if name != PAGE_KEY}


@dataclass(frozen=True, slots=True)
class FirstLevel:
    """What lies directly below `inbox/` and `outbox/`, by name.

    `folders` end in a slash and are sorted, without those that are ignored; `singles` are the
    single images, and `results` holds their results by the image's key.
    """

    folders: list[str]
    singles: list[Listed]
    results: dict[str, Listed]
    is_whole: bool
    """Whether nothing lies beyond the first MAX_PAGES of either."""


def first_level(bucket: Bucket) -> FirstLevel:
    """List the first level: a LIST per thousand names. Holds at most 40,000 names."""
    names: set[str] = set()
    listed: dict[str, list[Listed]] = {INBOX: [], OUTBOX: []}
    is_whole = True
    for root, objects in listed.items():
        pages = bucket.client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket.name, Prefix=root, Delimiter="/"
        )
        for number, page in enumerate(pages):
            if number == MAX_PAGES:
                is_whole = False
                break
            prefixes = [item["Prefix"] for item in page.get("CommonPrefixes", [])]
            names |= {prefix.removeprefix(root) for prefix in prefixes}
            objects += contents(page)
    keys_of_images = {keys.image_key(item.key): item for item in listed[OUTBOX]}
    return FirstLevel(
        sorted(name for name in names if not isinstance(route(f"{INBOX}{name}x"), Ignored)),
        [item for item in listed[INBOX] if isinstance(route(item.key), Single)],
        {image: item for image, item in keys_of_images.items() if image is not None},
        is_whole,
    )


def folder_names(bucket: Bucket) -> list[str]:
    """The folders of the first level."""
    return first_level(bucket).folders


def folder_row(bucket: Bucket, name: str) -> Row:
    """The state of a folder's last run, and its counts: two GETs."""
    scope = Scope(name)
    status = _document(bucket, keys.folder_file(scope, STATUS))
    summary = _document(bucket, keys.folder_file(scope, SUMMARY))
    return {
        "folder": name,
        "state": status.get("state", "not answered yet"),
        **{count: summary.get(count) for count in ("images", "classified", "rejected")},
        "updated": status.get("updated_at"),
        "page": keys.folder_file(scope, PAGE) if summary else None,
    }


def folders(catalog: Catalog) -> Iterator[Row]:
    """The folders with the state of their last run and its counts."""
    names = folder_names(catalog.bucket)[: MAX_ROWS + 1]
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        yield from pool.map(lambda name: folder_row(catalog.bucket, name), names)


def jobs(catalog: Catalog) -> Iterator[Row]:
    """Training jobs and searches, the newest first."""
    prefix, sagemaker = catalog.stage.prefix, catalog.sagemaker
    searches = sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        NameContains=prefix, SortBy="CreationTime", SortOrder="Descending"
    )
    trained = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=prefix, SortBy="CreationTime", SortOrder="Descending"
    )
    rows = [
        _job(
            item["HyperParameterTuningJobName"],
            "search",
            item["HyperParameterTuningJobStatus"],
            item,
        )
        for item in _newest(searches, "HyperParameterTuningJobSummaries")
    ]
    rows += [
        _job(item["TrainingJobName"], "training", item["TrainingJobStatus"], item)
        for item in _newest(trained, "TrainingJobSummaries")
    ]
    ours = [row for row in rows if row["job"].startswith(prefix)]
    yield from sorted(ours, key=lambda row: str(row["started"]), reverse=True)


def models(catalog: Catalog) -> Iterator[Row]:
    """The versions in the registry, and the active model where the registry does not have it."""
    active = active_model.read(catalog.bucket.client, catalog.bucket.name).active
    prefix, sagemaker, rows = catalog.stage.prefix, catalog.sagemaker, []
    groups = sagemaker.get_paginator("list_model_package_groups").paginate(NameContains=prefix)
    for group in _newest(groups, "ModelPackageGroupSummaryList"):
        name = group["ModelPackageGroupName"]
        if not name.startswith(prefix):
            continue
        pages = sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=name, SortBy="CreationTime", SortOrder="Descending"
        )
        for package in _newest(pages, "ModelPackageSummaryList"):
            model, version = name.removeprefix(prefix), package["ModelPackageVersion"]
            is_active = active is not None and (active.id.name, active.id.version) == (
                model,
                version,
            )
            rows.append(
                {
                    "model": f"{model}:{version}",
                    "status": "active" if is_active else package["ModelApprovalStatus"],
                    "registered": timestamps.to_text(package["CreationTime"]),
                    "active_since": active.activated_at if active and is_active else None,
                }
            )
    rows.sort(key=lambda row: str(row["registered"]), reverse=True)
    if active is not None and not any(row["status"] == "active" for row in rows):
        name = f"{active.id.name}:{active.id.version}"
        row = {"model": name, "status": "active", "registered": None}
        rows.insert(0, row | {"active_since": active.activated_at})
    yield from rows


def runs(catalog: Catalog) -> Iterator[Row]:
    """The runs that are open, then the reclassifications that have a report, the newest first."""
    bucket = catalog.bucket
    for listed in islice(bucket.walk(keys.CLAIMS), MAX_ROWS):
        claimed = claim.read(bucket, keys.claimed_token(listed.key))
        if claimed is not None:
            run = claimed.run
            status = _document(bucket, run.file(STATUS))
            kind = "folder" if run.scope.is_folder else run.kind
            yield _run(run.nonce, kind, INBOX + run.path, status, run.started_at, None)
    reports = [item for item in bucket.walk(keys.SWEEPS) if item.key.endswith(f"/{CHANGE_PAGE}")]
    for item in sorted(reports, key=lambda item: item.key, reverse=True):
        folder = item.key.removesuffix(CHANGE_PAGE)
        status = _document(bucket, folder + STATUS)
        nonce = folder.rstrip("/").rpartition("-")[2]
        started = status.get("started_at", "")
        path = status.get("folder", INBOX)
        yield _run(nonce, status.get("kind", "renewal"), path, status, started, item.key)


KINDS: Mapping[str, Callable[[Catalog], Iterator[Row]]] = {
    "folders": folders,
    "jobs": jobs,
    "models": models,
    "runs": runs,
}


def _run(
    nonce: str, kind: str, path: str, status: Mapping[str, Any], started: str, page: str | None
) -> Row:
    return {
        "run": nonce,
        "kind": "reclassification" if kind == "renewal" else kind,
        "of": path,
        "state": status.get("state", "starting"),
        "started": started,
        PAGE_KEY: page,
    }


def _job(name: str, kind: str, status: str, item: Mapping[str, Any]) -> Row:
    ended = item.get("TrainingEndTime") or item.get("HyperParameterTuningEndTime")
    return {
        "job": name,
        "kind": kind,
        "status": status,
        "started": timestamps.to_text(item["CreationTime"]),
        "ended": timestamps.to_text(ended) if ended else None,
    }


def _newest(pages: Any, name: str) -> Iterator[Mapping[str, Any]]:
    return islice((item for page in pages for item in page[name]), MAX_ROWS + 1)


def _document(bucket: Bucket, key: str) -> Mapping[str, Any]:
    stored = bucket.read(key)
    document: Mapping[str, Any] = json.loads(stored.body) if stored else {}
    return document
