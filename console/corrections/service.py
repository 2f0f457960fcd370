"""Storing corrections that a page sends, and what pages show of them."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aws import active_model
from aws.bucket import Bucket
from domain import timestamps
from domain.corrections.form import SCHEMA, Correction, from_json, moment_of
from domain.corrections.settling import Settled
from infra.review.corrections import KnownClasses, active_labels, check_new
from infra.review.lists import ReviewError
from infra.review.stored import CorrectionStore, Version
from infra.sentences import explain

WRITES_AT_ONCE = 16
MOST_ITEMS = 500
"""The most corrections in one request."""

LABELS_SECONDS = 30.0
"""So long the labels of the active model are used before its pointer is read again."""

PAUSE_SECONDS = 3.0
PAUSE_FACTOR = 20
WHOLE_PASS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Labels:
    """`model` is `name:version`, empty if no model is active; `trouble` says why there are no
    labels of it.
    """

    model: str
    labels: tuple[str, ...]
    trouble: str = ""


class Corrections:
    """The corrections of a console's bucket. Methods may be called by any thread.

    `person` returns who corrects; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        bucket: Bucket,
        store: CorrectionStore,
        person: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.is_read = False
        """Whether all corrections of the bucket have been read once."""
        self._bucket = bucket
        self._person = person
        self._clock = clock
        self._lock = Lock()
        self._whole_pass_at = clock()
        self._labels: Labels | None = None
        self._labels_until = 0.0

    def poll(self) -> tuple[int, float]:
        """Read what others have stored. Returns how many corrections, and the seconds to wait.

        A pass over all keys finds what came late or was deleted. It takes at most 5 % of the time.
        """
        started = self._clock()
        if self.is_read and started < self._whole_pass_at:
            return self.store.refresh(datetime.now(UTC)), PAUSE_SECONDS
        added = self.store.refresh()
        took = self._clock() - started
        self._whole_pass_at = started + max(WHOLE_PASS_SECONDS, PAUSE_FACTOR * took)
        self.is_read = True
        return added, PAUSE_SECONDS

    def labels(self) -> Labels:
        """The labels of the active model; its archive is read when it changes."""
        with self._lock:
            if self._labels is None or self._clock() >= self._labels_until:
                try:
                    self._labels = self._read_labels(self._labels)
                except (ValueError, BotoCoreError, ClientError) as error:
                    return Labels("", (), explain(error) or str(error))
                self._labels_until = self._clock() + LABELS_SECONDS
            return self._labels

    def _read_labels(self, known: Labels | None) -> Labels:
        active = active_model.read(self._bucket.client, self._bucket.name).active
        if active is None:
            return Labels("", ())
        model = f"{active.id.name}:{active.id.version}"
        if known is not None and known.model == model:
            return known
        return Labels(model, active_labels(self._bucket))

    def check(self, text: str) -> dict[str, Any]:
        """What a person means by a label that is typed in.

        `labels`: the classes that it spells, of which there may be two; none if it is no class.
        Then `near` is the most similar one, and `error` says why it cannot be a new class.
        """
        classes = KnownClasses.of((*self.labels().labels, *self.store.labels()))
        same = classes.same(text)
        if same:
            return {"labels": same, "near": None, "error": None}
        try:
            check_new(text)
        except ReviewError as error:
            return {"labels": [], "near": classes.nearest(text), "error": str(error)}
        return {"labels": [], "near": classes.nearest(text), "error": None}

    def write(self, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Store corrections; for each, in order, its `name` and one of

        - `stored`: what now holds of the image, after S3 has taken it;
        - `refused`: why it never will be stored;
        - `later`: why it could not be stored now; sending it again is harmless.

        Raises botocore's errors if AWS does not say who the person is.
        """
        who = self._person()
        with ThreadPoolExecutor(WRITES_AT_ONCE) as threads:
            return list(threads.map(lambda item: self._write(item, who), items))

    def _write(self, item: Mapping[str, Any], who: str) -> dict[str, Any]:
        name = str(item.get("name", ""))[:100]
        try:
            correction = _parse(item, who)
            if correction.withdraws is None:
                self._check_version(correction)
            self.store.write(correction)
        except (ReviewError, ValueError) as error:
            return {"name": name, "refused": str(error)}
        except (BotoCoreError, ClientError) as error:
            return {"name": name, "later": explain(error) or str(error)}
        settled = self.store.settled([(correction.image, correction.etag)])
        state = settled.get((correction.image, correction.etag))
        return {"name": name, "stored": describe(state) if state else None}

    def _check_version(self, correction: Correction) -> None:
        if correction.to is not None and correction.to != correction.before:
            check_new(correction.to)
        head = self._bucket.head(correction.image)
        if head is None:
            raise ReviewError(f"{correction.image} has been deleted. It was not corrected.")
        if head.listed.etag != correction.etag:
            raise ReviewError(
                f"{correction.image} has been replaced by another image since this page showed it. "
                "It was not corrected: look at it again."
            )

    def current_etags(self, images: Sequence[str]) -> dict[str, str | None]:
        """The ETags of the images as they are now; None for a deleted one."""
        with ThreadPoolExecutor(WRITES_AT_ONCE) as threads:
            heads = list(threads.map(self._bucket.head, images))
        return {
            image: head.listed.etag if head else None
            for image, head in zip(images, heads, strict=True)
        }

    def states(self, versions: Sequence[Version]) -> list[dict[str, Any]]:
        """What holds of those of these image versions that have a correction."""
        return [
            {"image": image, "etag": etag} | describe(settled)
            for (image, etag), settled in self.store.settled(versions).items()
        ]


def describe(settled: Settled) -> dict[str, Any]:
    """What pages show of a settled correction."""
    ruling = settled.ruling
    assert ruling is not None
    return _word(ruling) | {"differing": [_word(one) for one in settled.differing]}


def _word(one: Correction) -> dict[str, Any]:
    return {
        "name": one.name,
        "from": one.before,
        "to": one.to,
        "who": one.who,
        "at": one.at,
        "withdraws": one.withdraws,
    }


def _parse(item: Mapping[str, Any], who: str) -> Correction:
    """A correction as a page sends it: the document without what the server knows."""
    name = item.get("name")
    if not isinstance(name, str):
        raise ValueError("a correction has a name")
    at = timestamps.to_text(moment_of(name))
    fields = {key: value for key, value in item.items() if key != "name"}
    return from_json(name, json.dumps(fields | {"schema": SCHEMA, "who": who, "at": at}))
