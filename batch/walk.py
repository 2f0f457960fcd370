"""One bounded walk over a scope's images and results: what is to be answered, and why."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from itertools import islice

from botocore.exceptions import ClientError

from batch.bucket import Bucket, Listed
from batch.cloud import Cloud
from batch.listing import DOUBT, UNLISTED, Candidate, together
from batch.page import Row
from batch.pending import Reason, Wanted
from batch.unreadable import Others, denial_of
from domain.keys import INBOX, OUTBOX, claim_key, result_key
from domain.result import Version
from domain.route import Ignored, InFolder, Single, route
from domain.scope import Scope

HEAD_COST = 20
"""What a HEAD costs of the bound on a walk, where a listed key costs one: about its time."""


@dataclass
class Walk:
    """From `after` until the scope ends, or it has cost enough, or taken long, at `cursor`.

    `model`: the one that a renewal wants the answers of. What is held at a time is the slice's rows
    and a thousand keys of each listing.
    """

    cloud: Cloud
    scope: Scope
    model: str | None
    after: str
    cursor: str = ""
    last: bool = True
    ignored: int = 0
    images: int = 0
    cost: int = 0
    rows: list[Row] = field(default_factory=list)
    reasons: Counter[Reason] = field(default_factory=Counter)
    _busy: tuple[Scope, bool] | None = None
    _witnesses: Others | None = None

    def run(self) -> "Walk":
        """Looks are taken side by side in a sweep, which takes one at every result."""
        self.cursor = self.after
        candidates, wanted = self._candidates(), Wanted(self.model)
        width = self.cloud.bounds.heads_at_once if self.scope.is_sweep else 1
        with ThreadPoolExecutor(width) as threads:
            while chunk := list(islice(candidates, width)):
                looked_at = [each for each in chunk if not wanted.is_settled_by_listing(each)]
                self.cost += sum(HEAD_COST for each in looked_at if each.result) // width
                reasons = threads.map(lambda each: self._reason(wanted, each), looked_at)
                for candidate, reason in zip(looked_at, reasons, strict=True):
                    if reason and not self._is_left_to_its_event(candidate.image, reason):
                        self.reasons[reason] += 1
                        self.rows.append(Row.of(candidate.image))
        self._pin()
        return self

    def _reason(self, wanted: Wanted, candidate: Candidate) -> Reason | None:
        """Where HEAD is denied for one object, and not for others, its page is to judge it."""
        try:
            return wanted.reason(self._bucket, candidate)
        except ClientError as error:
            if denial_of(error) and self._others.are_read(result_key(candidate.image.key)):
                return "no answer"
            raise

    def _pin(self) -> None:
        """Notes version ids where another object of the same bytes could bear the same time.

        Those are images of the last two seconds, and those in parts, whose time is their start.
        A million images in parts are a million HEADs: 0.40 dollars, and some minutes in all.
        """
        young = (self.cloud.now() - DOUBT).astimezone(UTC).isoformat()
        doubtful = [
            at for at, row in enumerate(self.rows) if "-" in row.etag or row.last_modified >= young
        ]
        with ThreadPoolExecutor(self.cloud.bounds.heads_at_once) as threads:
            pinned = threads.map(lambda at: self._pinned(self.rows[at]), doubtful)
            for at, row in zip(doubtful, pinned, strict=True):
                self.rows[at] = row

    def _pinned(self, row: Row) -> Row:
        try:
            found = self._bucket.head(row.key)
        except ClientError as error:
            if denial_of(error) and self._others.are_read(row.key):
                return row
            raise
        if found is None or not Version(row.etag).is_same(Version(found.listed.etag)):
            return row  # it has changed since: no answer will count for this row
        return replace(row, version=found.version_id)

    @property
    def _bucket(self) -> Bucket:
        return self.cloud.bucket

    @property
    def _others(self) -> Others:
        self._witnesses = self._witnesses or Others(self._bucket, by_head=True)
        return self._witnesses

    def _candidates(self) -> Iterator[Candidate]:
        if not (self.scope.is_folder or self.scope.is_sweep):
            return _one(self._bucket, INBOX + self.scope.path)
        results = self._bucket.walk(OUTBOX + self.scope.path, _result_side(self.after))
        return together(self._images(), self._counted(results))

    def _images(self) -> Iterator[Listed]:
        bounds = self.cloud.bounds
        most_rows = bounds.sweep_rows if self.scope.is_sweep else bounds.slice_rows
        until = self.cloud.now() + timedelta(seconds=bounds.walk_seconds)
        is_late = False
        for listed in self._bucket.walk(INBOX + self.scope.path, self.after):
            if self.cost >= bounds.walk_keys or len(self.rows) >= most_rows or is_late:
                self.last = False
                return
            self.cost += 1
            self.cursor, is_late = listed.key, self.cloud.now() > until
            if self._is_ours(listed):
                self.images += 1
                yield listed

    def _is_ours(self, listed: Listed) -> bool:
        match route(listed.key, self.cloud.folder_depth):
            case InFolder(folder=folder):
                return self.scope.is_sweep or folder == self.scope
            case Single():
                return self.scope.is_sweep
            case Ignored():
                self.ignored += 1
        return False

    def _is_left_to_its_event(self, image: Listed, reason: Reason) -> bool:
        """A sweep keeps out of the way of what an upload has set in motion, or is about to.

        Only where there is no answer for the image as it is: nobody else renews an older model's.
        """
        if not self.scope.is_sweep or reason == "older model":
            return False
        age = self.cloud.now() - image.last_modified
        return age < timedelta(seconds=self.cloud.bounds.grace_seconds) or self._is_busy(image)

    def _is_busy(self, image: Listed) -> bool:
        """Whether the image's folder has a live run; asked once a folder, as keys are in order."""
        scope = scope_of(image.key, self.cloud.folder_depth)
        if self._busy is None or self._busy[0] != scope:
            self._busy = scope, self._bucket.head(claim_key(scope.token)) is not None
        return self._busy[1]

    def _counted(self, results: Iterator[Listed]) -> Iterator[Listed]:
        for result in results:
            self.cost += 1
            yield result


def scope_of(key: str, folder_depth: int) -> Scope:
    """The scope whose run answers an image that an event told of."""
    match route(key, folder_depth):
        case InFolder(folder=folder):
            return folder
        case _:
            return Scope(key.removeprefix(INBOX))


def _result_side(after: str) -> str:
    """Where the results of what follows `after` begin: a result's key sorts after its image's."""
    return OUTBOX + after.removeprefix(INBOX) if after else ""


def _one(bucket: Bucket, key: str) -> Iterator[Candidate]:
    image = bucket.head(key)
    if image:
        yield Candidate(image.listed, UNLISTED)
