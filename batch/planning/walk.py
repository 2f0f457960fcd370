"""One walk over a scope's images and results, of limited cost, which collects the rows to
answer."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from functools import cached_property
from itertools import islice

from botocore.exceptions import ClientError

from aws.bucket import Bucket, Listed
from batch.archives.state import is_settled
from batch.context import Context
from batch.outcome import result_at
from batch.planning.listing import (
    DOUBT,
    UNLISTED,
    AnswerRequirement,
    ListedImage,
    Reason,
    ignore_unmatched,
    match_results,
)
from batch.planning.slice import Row
from batch.unreadable import OtherObjects, can_skip, denial_of
from domain.keys import (
    INBOX,
    LARGE_MARKERS,
    LONG,
    OUTBOX,
    claim_key,
    image_key,
    large_image,
    result_key,
)
from domain.result import Version
from domain.route import (
    ENDPOINT_BYTES,
    Ignored,
    InFolder,
    PackedFolder,
    Single,
    endpoint_bytes,
    route,
)
from domain.scope import LARGE_SINGLES, Scope

HEAD_COST = 20
"""The cost of a HEAD in the budget of a walk (by its duration); a listed key costs 1."""


@dataclass
class Walk:
    """A walk from the key `after` up to `cursor`: the end of the scope (`last`), or of its budget.

    `model`: the model whose results a `renewal` requires. `is_overdue`: do not wait any longer for
    denied objects. Memory: the slice's rows, and 1,000 keys of each listing.
    """

    context: Context
    scope: Scope
    model: str | None
    after: str
    is_overdue: bool = False
    cursor: str = ""
    last: bool = True
    ignored: int = 0
    images: int = 0
    cost: int = 0
    rows: list[Row] = field(default_factory=list)
    reasons: Counter[Reason] = field(default_factory=Counter)
    _live_run: tuple[Scope, bool] | None = None
    _other_objects: OtherObjects | None = None
    _unmatched: list[Listed] = field(default_factory=list)
    _images_exhausted: bool = False
    _denied_keys: set[str] = field(default_factory=set)

    def run(self) -> "Walk":
        """Walk, and collect rows. A reclassification sends its HEADs concurrently, as it needs one
        for every result."""
        self.cursor = self.after
        candidates, requirement = self._candidates(), AnswerRequirement(self.model)
        width = self.context.limits.heads_at_once if self.scope.is_reclassification else 1
        with ThreadPoolExecutor(width) as threads:
            while chunk := list(islice(candidates, width)):
                doubtful = [
                    candidate
                    for candidate in chunk
                    if not requirement.is_settled_by_listing(candidate)
                ]
                self.cost += sum(HEAD_COST for candidate in doubtful if candidate.result) // width
                reasons = threads.map(
                    lambda candidate: self._reason(requirement, candidate), doubtful
                )
                for candidate, reason in zip(doubtful, reasons, strict=True):
                    if reason and not self._leaves_to_event(candidate.image, reason):
                        self.reasons[reason] += 1
                        is_denied = candidate.image.key in self._denied_keys
                        self.rows.append(replace(Row.of(candidate.image), denied=is_denied))
            self.rows += self._without_images(threads)
        self._pin_versions()
        return self

    def _without_images(self, threads: ThreadPoolExecutor) -> list[Row]:
        """Rows of results whose image is deleted, which their page deletes: an event was lost.

        Where answers outlive images that expire, nothing tells the two apart, and none is deleted.
        """
        if self.context.keeps_answers:
            return []
        images = threads.map(self._image_of, self._unmatched)
        keys = [key for key in images if key is not None and self._is_an_image(key)]
        gone = threads.map(self._is_gone, keys)
        return [Row.of_nothing(key) for key, is_gone in zip(keys, gone, strict=True) if is_gone]

    def _image_of(self, result: Listed) -> str | None:
        """The image key of a result. A hashed result key requires to read the result; None if it
        cannot be read."""
        if not result.key.startswith(LONG):
            return image_key(result.key)
        try:
            answer = result_at(self._bucket, result.key)
        except ClientError as error:
            if denial_of(error) is None:
                raise
            return None
        return answer.image if answer else None

    def _is_gone(self, key: str) -> bool:
        """Whether the image is deleted; one for which HEAD is denied exists."""
        try:
            return self._bucket.head(key) is None
        except ClientError as error:
            if self._can_skip(error, key):
                return False
            raise

    def _note_unmatched(self, result: Listed) -> bool:
        """Collect a result without an image; returns whether to read more results.

        After the last image, a reclassification reads results up to the walk's cursor, or up to
        their end if the listing of images has ended.
        """
        if (
            self._images_exhausted
            and not self.last
            and result.key > OUTBOX + self.cursor[len(INBOX) :]
        ):
            return False
        if self._images_exhausted and self.last and self._is_enough():
            self.last = False
            self.cursor = max(self.cursor, INBOX + result.key.removeprefix(OUTBOX))
            return False
        age = self.context.now() - result.last_modified
        image = image_key(result.key)
        is_answer = self._is_an_image(image) if image else result.key.startswith(LONG)
        if is_answer and age > self._grace and image != self.after:  # the last of the slice before
            self.cost += HEAD_COST // self.context.limits.heads_at_once
            self._unmatched.append(result)
        return True

    def _is_an_image(self, key: str) -> bool:
        """Whether the key is an image's; files about a folder have hidden names."""
        return isinstance(route(key, self.context.folder_depth), InFolder | Single)

    def _is_enough(self) -> bool:
        limits = self.context.limits
        most_rows = limits.reclassify_rows if self.scope.is_reclassification else limits.slice_rows
        return self.cost >= limits.walk_keys or len(self.rows) + len(self._unmatched) >= most_rows

    @property
    def _grace(self) -> timedelta:
        return timedelta(seconds=self.context.limits.grace_seconds)

    def _reason(self, requirement: AnswerRequirement, candidate: ListedImage) -> Reason | None:
        """Why to answer the image. If only its own HEAD is denied, its page handles that."""
        try:
            return requirement.reason(self._bucket, candidate)
        except ClientError as error:
            if self._can_skip(error, result_key(candidate.image.key)):
                return "no answer"
            raise

    def _pin_versions(self) -> None:
        """Add version ids to rows that ETag and time may not identify.

        Another object with the same bytes could get the same time if the image is younger than two
        seconds, or was a multipart upload (whose time is its start). A million multipart images
        need a million HEADs: 0.40 dollars and some minutes.
        """
        young = (self.context.now() - DOUBT).astimezone(UTC).isoformat()
        doubtful = [
            at for at, row in enumerate(self.rows) if "-" in row.etag or row.last_modified >= young
        ]
        with ThreadPoolExecutor(self.context.limits.heads_at_once) as threads:
            pinned = threads.map(lambda at: self._pin_version(self.rows[at]), doubtful)
            for at, row in zip(doubtful, pinned, strict=True):
                self.rows[at] = row

    def _pin_version(self, row: Row) -> Row:
        try:
            head = self._bucket.head(row.key)
        except ClientError as error:
            if self._can_skip(error, row.key):
                return row
            raise
        if head is None or not Version(row.etag).is_same(Version(head.listed.etag)):
            return row  # it has changed since, so that no answer will count for this row
        return replace(row, version=head.version_id)

    @property
    def _bucket(self) -> Bucket:
        return self.context.bucket

    @property
    def _others(self) -> OtherObjects:
        self._other_objects = self._other_objects or OtherObjects(self._bucket, by_head=True)
        return self._other_objects

    def _can_skip(self, error: ClientError, key: str) -> bool:
        """Whether a denied HEAD is left to the page; otherwise planning fails and is retried."""
        return can_skip(error, key, self._others, self.is_overdue)

    def _candidates(self) -> Iterator[ListedImage]:
        if self.scope.is_large_singles:
            return self._large_singles()
        if not (self.scope.is_folder or self.scope.is_reclassification):
            return _single(self._bucket, INBOX + self.scope.path)
        results = self._bucket.walk(OUTBOX + self.scope.path, _result_side(self.after))
        unmatched = self._note_unmatched if self.scope.is_reclassification else ignore_unmatched
        return match_results(self._images(), self._count_cost(results), unmatched)

    def _large_singles(self) -> Iterator[ListedImage]:
        """The singles that have markers. Markers of singles that need no answer are deleted. A job
        has `large_rows` of those that are too large for any endpoint, and others up to a slice.

        A marker that was written since for another version has another ETag and is kept. A denied
        single becomes a row that is left out of the job, and its page handles the denial.
        """
        limits, large = self.context.limits, 0
        until = self.context.now() + timedelta(seconds=limits.walk_seconds)
        markers = self._bucket.walk(LARGE_MARKERS, self.after)
        with ThreadPoolExecutor(limits.heads_at_once) as threads:
            while chunk := list(islice(markers, limits.heads_at_once)):
                marked = threads.map(self._marked, chunk)
                for marker, candidate in zip(chunk, marked, strict=True):
                    is_full = len(self.rows) >= limits.slice_rows or large >= limits.large_rows
                    if is_full or self.context.now() > until:
                        self.last = False
                        return
                    self.cost += HEAD_COST
                    self.cursor = marker.key
                    if candidate is None:
                        self._bucket.delete(marker.key, marker.etag)
                        continue
                    self.images += 1
                    large += candidate.image.size > ENDPOINT_BYTES
                    yield candidate

    def _marked(self, marker: Listed) -> ListedImage | None:
        """The image of a marker; None if it is gone or has its answer."""
        key = large_image(marker.key)
        try:
            headed = self._bucket.head(key)
            image = headed.listed if headed else None
        except ClientError as error:
            if not self._can_skip(error, key):
                raise
            image = self._denied(key)
        candidate = ListedImage(image, UNLISTED) if image else None
        return candidate if candidate and self._reason(AnswerRequirement(), candidate) else None

    def _denied(self, key: str) -> Listed | None:
        """An image for which HEAD is denied, from the listing."""
        self._denied_keys.add(key)
        return next((listed for listed in self._bucket.page(key)[:1] if listed.key == key), None)

    def _images(self) -> Iterator[Listed]:
        until = self.context.now() + timedelta(seconds=self.context.limits.walk_seconds)
        is_late = False
        for listed in self._bucket.walk(INBOX + self.scope.path, self.after):
            if self._is_enough() or is_late:
                self.last, self._images_exhausted = False, True
                return
            self.cost += 1
            self.cursor, is_late = listed.key, self.context.now() > until
            if self._is_in_scope(listed):
                self.images += 1
                yield listed
        self._images_exhausted = True

    def _is_in_scope(self, listed: Listed) -> bool:
        match route(listed.key, self.context.folder_depth):
            case InFolder(folder=folder):
                return self.scope.is_reclassification or folder == self.scope
            case Single():
                return self.scope.is_reclassification
            case PackedFolder() if self.scope.is_reclassification:
                self._unpack_if_forgotten(listed)
            case Ignored():
                self.ignored += 1
        return False

    def _unpack_if_forgotten(self, archive: Listed) -> None:
        """Queue an archive that is not done with: its event was lost. Costs two HEADs."""
        if self.context.now() - archive.last_modified < self._grace:
            return
        self.cost += 2 * HEAD_COST
        if not is_settled(self._bucket, archive.key, Version(archive.etag)):
            self.context.unpack_later(archive.key)

    def _leaves_to_event(self, image: Listed, reason: Reason) -> bool:
        """Whether a reclassification leaves the image to its upload event or its folder's run.

        Results by older models are never left, as nothing else replaces them.
        """
        if not self.scope.is_reclassification or reason == "older model":
            return False
        age = self.context.now() - image.last_modified
        return age < self._grace or self._has_live_run(image)

    def _has_live_run(self, image: Listed) -> bool:
        """Whether the image's folder has a live run. Keys are sorted, so one HEAD per folder."""
        scope = scope_of(image.key, self.context.folder_depth)
        if not scope.is_folder and image.size > self._endpoint_bytes:
            scope = LARGE_SINGLES
        if self._live_run is None or self._live_run[0] != scope:
            self._live_run = scope, self._bucket.head(claim_key(scope.token)) is not None
        return self._live_run[1]

    @cached_property
    def _endpoint_bytes(self) -> int:
        return endpoint_bytes(self.context.active_model().mode)

    def _count_cost(self, results: Iterator[Listed]) -> Iterator[Listed]:
        for result in results:
            self.cost += 1
            yield result


def scope_of(key: str, folder_depth: int) -> Scope:
    """The scope whose run answers an image after its upload."""
    match route(key, folder_depth):
        case InFolder(folder=folder):
            return folder
        case _:
            return Scope(key.removeprefix(INBOX))


def _result_side(after: str) -> str:
    """The position in the outbox for a position in the inbox; a result sorts after its image."""
    return OUTBOX + after.removeprefix(INBOX) if after else ""


def _single(bucket: Bucket, key: str) -> Iterator[ListedImage]:
    image = bucket.head(key)
    if image:
        yield ListedImage(image.listed, UNLISTED)
