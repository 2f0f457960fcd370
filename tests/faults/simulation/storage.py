"""The in-memory bucket of the unit tests, fit for a hundred thousand objects and a hook after."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, assert_never

from tests.faults.cloud.traffic import Ready, Remove, Revert, Touch, Upload
from tests.support.fakes.aws import FakeObject, FakeS3, no_hook


class SortedObjects(dict[str, FakeObject]):
    """The objects of a bucket, with their keys in order below each first segment."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[str, list[str]] = defaultdict(list)

    def __setitem__(self, key: str, stored: FakeObject) -> None:
        if key not in self:
            insort(self._keys[_first(key)], key)
        super().__setitem__(key, stored)

    def pop(self, key: str, *default: Any) -> Any:
        if key in self:
            keys = self._keys[_first(key)]
            del keys[bisect_left(keys, key)]
        return super().pop(key, *default)

    def listing(self, prefix: str, after: str, most: int) -> list[str]:
        keys = self._keys[_first(prefix)]
        start = bisect_right(keys, after) if after >= prefix else bisect_left(keys, prefix)
        return list(takewhile(lambda key: key.startswith(prefix), keys[start : start + most]))


def _first(key: str) -> str:
    return key.partition("/")[0]


@dataclass
class Storage(FakeS3):
    """`after` is called when a write was made; `before_it` has what a key held before."""

    began: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    after: Callable[[str, str], None] = no_hook
    objects: dict[str, FakeObject] = field(default_factory=SortedObjects)
    before_it: dict[str, FakeObject] = field(default_factory=dict)
    first_seen: dict[tuple[str, str], float] = field(default_factory=dict)
    """Seconds after `began` at which a key first had this version."""

    def put_object(self, **request: Any) -> dict[str, Any]:
        answer = super().put_object(**request)
        self.after("PutObject", request["Key"])
        return answer

    def delete_object(self, **request: Any) -> dict[str, Any]:
        answer = super().delete_object(**request)
        self.after("DeleteObject", request["Key"])
        return answer

    def list_objects_v2(
        self,
        *,
        Bucket: str,
        Prefix: str = "",
        StartAfter: str = "",
        ContinuationToken: str = "",
        **_: Any,
    ) -> dict[str, Any]:
        self._called("ListObjectsV2", Bucket, Prefix)
        assert isinstance(self.objects, SortedObjects)
        after = max(StartAfter, ContinuationToken)
        keys = self.objects.listing(Prefix, after, self.page_size + 1)
        page = keys[: self.page_size]
        answer: dict[str, Any] = {"IsTruncated": len(keys) > len(page)}
        answer["Contents"] = [self._listed(key) for key in page]
        if answer["IsTruncated"]:
            answer["NextContinuationToken"] = page[-1]
        return answer

    def touch(self, act: Touch) -> str | None:
        """What a person does; returns the name of the event that S3 sends of it."""
        match act:
            case Upload(key, body, parts, is_told):
                self.drop(key, body, parts)
                return "ObjectCreated:Put" if is_told else None
            case Ready(key):
                self.drop(key, b"")
                return "ObjectCreated:Put"
            case Remove(key):
                self.before_it.pop(key, None)
                self.delete_object(Bucket=self.bucket, Key=key)
                return "ObjectRemoved:DeleteMarkerCreated"
            case Revert(key):
                return "ObjectRemoved:Delete" if self.revert(key) else None
            case never:
                assert_never(never)

    def drop(self, key: str, body: bytes, in_parts_since: float | None = None) -> None:
        """What a person does. A multipart upload is dated by its start, its ETag has a dash."""
        if key in self.objects:
            self.before_it[key] = self.objects[key]
        super().put_object(Bucket=self.bucket, Key=key, Body=body)
        if in_parts_since is not None:
            whole = self.objects[key]
            began = whole.last_modified - timedelta(seconds=in_parts_since)
            self.objects[key] = replace(whole, etag=f"{whole.etag}-2", last_modified=began)
        seconds = (self.clock.now - self.began).total_seconds()
        self.first_seen.setdefault((key, self.objects[key].version_id), seconds)

    def revert(self, key: str) -> bool:
        """A person deletes the newest version: the one before it is back, with its own date."""
        earlier = self.before_it.pop(key, None)
        if earlier is None:
            return False
        self.objects[key] = earlier
        return True
