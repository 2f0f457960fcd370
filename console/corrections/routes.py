"""The page of corrections, and what pages ask and send about them."""

import secrets
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import boto3
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from console.context import Console
from console.corrections.service import MOST_ITEMS, Corrections, describe
from console.models.versions import Versions
from console.web.bodies import read_json
from console.web.events import Hub
from console.web.rendering import json_response, page
from domain.corrections.settling import Settled
from domain.errors import SortboxError
from domain.keys import folder_prefix
from infra.review.person import Person
from infra.review.stored import CorrectionFilter, CorrectionStore

TOPIC = "corrections"
BODY_BYTES = 8 * 2**20
ROWS = 50
DISPUTED_ROWS = 20
COUNT_ROWS = 100
MOST_CHANGED = 200
"""The most image versions that an event names."""

KINDS = {"": "all", "disputed": "disputed", "none": "none of the labels", "rejected": "rejected"}


class CorrectionRequestError(SortboxError):
    """A request about corrections that no page of the console sends."""


def routes(console: Console, hub: Hub) -> list[BaseRoute]:
    store = CorrectionStore(console.bucket, console.folder)
    corrections = Corrections(console.bucket, store, Person(lambda: boto3.client("sts")).name)
    pages = CorrectionPages(console, hub, corrections, Versions(console))
    hub.every(1.0, pages.poll)
    return [
        Route("/corrections", pages.show),
        Route("/api/corrections", pages.write, methods=["POST"]),
        Route("/api/corrections/labels", pages.labels),
        Route("/api/corrections/check", pages.check),
        Route("/api/corrections/states", pages.states),
    ]


class CorrectionPages:
    def __init__(
        self, console: Console, hub: Hub, corrections: Corrections, versions: Versions
    ) -> None:
        self._console = console
        self._versions = versions
        self._hub = hub
        self._corrections = corrections
        self._lock = Lock()
        self._published = corrections.store.last_number()

    def poll(self) -> float:
        was_read = self._corrections.is_read
        added, pause = self._corrections.poll()
        if added or not was_read:
            self._publish()
        return pause

    def _publish(self) -> None:
        """Pages hear which images have changed; null for too many to name."""
        store = self._corrections.store
        with self._lock:
            after, self._published = self._published, store.last_number()
        changed = store.versions_after(after, MOST_CHANGED + 1)
        names = [{"image": image, "etag": etag} for image, etag in changed]
        self._hub.publish(TOPIC, {"changed": names if len(names) <= MOST_CHANGED else None})

    def show(self, request: Request) -> Response:
        """The page: counts, disputed ones first, and a list of which the query chooses a part."""
        covered = self._versions.coverage_of(self._versions.active_facts().data)
        store, active = self._corrections.store, self._corrections.labels()
        query = request.query_params
        selection = _selection(query)
        rows = store.page(selection, query.get("before", ""), ROWS + 1)
        disputed = store.page(CorrectionFilter(disputed=True), "", DISPUTED_ROWS)
        shown = rows[:ROWS]
        last = shown[-1].ruling if len(rows) > ROWS else None
        counts = store.counts(COUNT_ROWS + 1)
        images = [one.ruling.image for one in (*shown, *disputed) if one.ruling]
        etags = self._corrections.current_etags(list(dict.fromkeys(images)))
        return page(
            request,
            "corrections/corrections.html.jinja",
            title="Correct",
            totals=store.totals(),
            active=active.model,
            new=store.totals(beyond=covered).corrected,
            left_out=sum(one.left_out for one in covered),
            disputed=[self._row(one, etags) for one in disputed],
            rows=[self._row(one, etags) for one in shown],
            counts=[(one, _link(one.before, one.label)) for one in counts[:COUNT_ROWS]],
            has_more_counts=len(counts) > COUNT_ROWS,
            query=query,
            kinds=KINDS,
            is_filtered=any(query.values()),
            older=urlencode(dict(query) | {"before": last.name}) if last else "",
            is_read=self._corrections.is_read,
            seed=secrets.randbelow(10**6),
        )

    def _row(self, settled: Settled, etags: Mapping[str, str | None]) -> dict[str, Any]:
        """`void` says why the correction no longer counts."""
        ruling = settled.ruling
        assert ruling is not None
        etag = etags[ruling.image]
        void = "" if etag == ruling.etag else "replaced since" if etag else "deleted since"
        address = urlencode({"image": ruling.image, "etag": ruling.etag})
        row = {"image": ruling.image, "etag": ruling.etag, "void": void, "address": address}
        return row | describe(settled)

    async def write(self, request: Request) -> Response:
        items = _items(await read_json(request, BODY_BYTES))
        results = await run_in_threadpool(self._corrections.write, items)
        await run_in_threadpool(self._publish)
        return JSONResponse({"results": results})

    def labels(self, request: Request) -> Response:
        """The labels to choose from: those of the active model, and others that people named."""
        active = self._corrections.labels()
        known = frozenset(active.labels)
        others = [label for label in self._corrections.store.labels() if label not in known]
        return json_response(
            {
                "model": active.model,
                "labels": active.labels,
                "others": others,
                "trouble": active.trouble,
                "bucket": self._console.bucket.name,
            }
        )

    def check(self, request: Request) -> Response:
        return json_response(self._corrections.check(request.query_params.get("label", "").strip()))

    def states(self, request: Request) -> Response:
        """What holds of image versions: parameters `image` and `etag`, in pairs."""
        query = request.query_params
        images, etags = query.getlist("image"), query.getlist("etag")
        if len(images) != len(etags) or len(images) > MOST_ITEMS:
            raise CorrectionRequestError(f"up to {MOST_ITEMS} pairs of image and etag are answered")
        versions = [*zip(images, etags, strict=True)]
        return json_response({"states": self._corrections.states(versions)})


def _selection(query: QueryParams) -> CorrectionFilter:
    kind = query.get("kind", "")
    return CorrectionFilter(
        before="" if kind == "rejected" else query.get("from") or None,
        label="" if kind == "none" else query.get("to") or None,
        who=query.get("who") or None,
        folder=folder_prefix(query.get("folder", "")),
        disputed=kind == "disputed",
    )


def _link(before: str | None, label: str | None) -> str:
    """The query of the list of these."""
    if before is None:
        return urlencode({"kind": "rejected", "to": label or ""})
    if label is None:
        return urlencode({"from": before, "kind": "none"})
    return urlencode({"from": before, "to": label})


def _items(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = document.get("items")
    if not isinstance(items, list):
        raise CorrectionRequestError("this request holds no corrections")
    is_list = all(isinstance(item, dict) for item in items)
    if not is_list or not 0 < len(items) <= MOST_ITEMS:
        raise CorrectionRequestError(f"a request holds 1 to {MOST_ITEMS} corrections")
    return list(items)
