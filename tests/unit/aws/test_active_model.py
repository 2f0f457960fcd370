"""Which model was active before, as the pointer's versions in S3 tell it."""

import io
import itertools
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from aws import active_model
from aws.active_model import Pointer, PointerMovedError
from domain.keys import ACTIVE_MODEL
from domain.model import ActiveModel, ModelId
from tests.support.fakes.aws import error


class Versions:
    """One object in a versioned bucket; whoever asks for another is told so."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.written: dict[str, tuple[bytes, dict[str, str]]] = {}

    def put_object(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: bytes,
        Metadata: Mapping[str, str] = MappingProxyType({}),
        ContentType: str,
        **said: Any,
    ) -> None:
        assert (Bucket, Key, ContentType) == ("b", ACTIVE_MODEL, "application/json")
        assert said.keys() <= {"IfMatch", "IfNoneMatch"}
        assert said.get("IfNoneMatch", "*") == "*", "S3 takes no other"
        latest = f'"{list(self.written)[-1]}"' if self.written else None
        if said.get("IfMatch", latest) != latest or ("IfNoneMatch" in said and latest):
            raise error("PutObject", 412, "PreconditionFailed")
        self.written[str(next(self._numbers))] = Body, dict(Metadata)

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        assert (Bucket, Key) == ("b", ACTIVE_MODEL)
        if not self.written:
            raise error("GetObject", 404, "NoSuchKey")
        version = VersionId or list(self.written)[-1]
        body, metadata = self.written[version]
        found = {"Body": io.BytesIO(body), "Metadata": metadata}
        return found | {"VersionId": version, "ETag": f'"{version}"'}

    def get_paginator(self, operation: str) -> "Versions":
        assert operation == "list_object_versions"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Any:
        """Keys that begin as the pointer's does are listed too, and pages may be empty."""
        assert (Bucket, Prefix) == ("b", ACTIVE_MODEL)
        yield {"DeleteMarkers": []}
        for version in reversed(self.written):
            other = {"Key": f"{ACTIVE_MODEL}.old", "VersionId": "another key's"}
            yield {"Versions": [{"Key": ACTIVE_MODEL, "VersionId": version}, other]}


def model(number: int) -> ActiveModel:
    return ActiveModel(ModelId("pets", number, f"sha256:{number:064x}"), "e", f"m{number}", "now")


def activate(s3: Any, number: int) -> None:
    active_model.move(s3, "b", active_model.read(s3, "b"), model(number))


def go_back(s3: Any) -> int | None:
    earlier = active_model.before(s3, "b")
    if earlier is None:
        return None
    active_model.move(s3, "b", active_model.read(s3, "b"), earlier.active, earlier)
    return earlier.active.id.version


def test_going_back_again_and_again_passes_every_model_once() -> None:
    s3 = Versions()
    for number in (1, 2, 3):
        activate(s3, number)
    assert [go_back(s3) for _ in range(3)] == [2, 1, None]


def test_after_a_rollback_another_promotion_can_be_rolled_back_to_what_it_replaced() -> None:
    s3 = Versions()
    for number in (1, 2, 3):
        activate(s3, number)
    assert go_back(s3) == 2
    activate(s3, 4)
    assert [go_back(s3) for _ in range(3)] == [2, 1, None]


def test_the_same_model_activated_again_is_no_step_of_its_own() -> None:
    s3 = Versions()
    for number in (1, 2, 2):
        activate(s3, number)
    assert go_back(s3) == 1


def test_what_was_gone_back_to_and_activated_again_stands_where_it_stood() -> None:
    s3 = Versions()
    for number in (1, 2, 3):
        activate(s3, number)
    assert go_back(s3) == 2
    activate(s3, 2)
    assert go_back(s3) == 1, "3 was gone back from already"


@pytest.mark.parametrize(("has_gone_back", "before"), [(True, 1), (False, 2)])
def test_a_promotion_during_a_rollback_is_none_of_its_history(
    has_gone_back: bool, before: int
) -> None:
    """Between the look at the pointer and the list of its versions."""
    s3: Any = Versions()
    for number in (1, 2, 3):
        activate(s3, number)
    assert not has_gone_back or go_back(s3) == 2

    def promoted(operation: str) -> Versions:
        activate(s3, 4)
        return Versions.get_paginator(s3, operation)

    s3.get_paginator = promoted
    earlier = active_model.before(s3, "b")
    assert earlier is not None
    assert earlier.active == model(before)


def test_the_first_pointer_is_not_written_over_another_first_one() -> None:
    s3: Any = Versions()
    seen = active_model.read(s3, "b")
    assert seen == Pointer(None, None)
    activate(s3, 1)
    with pytest.raises(PointerMovedError, match=r"models/active\.json was moved by somebody else"):
        active_model.move(s3, "b", seen, model(2))
    assert active_model.read(s3, "b").active == model(1)


@given(st.lists(st.one_of(st.integers(1, 5), st.none()), max_size=30))
def test_history_is_a_stack(deeds: list[int | None]) -> None:
    """A number activates that model, None goes back."""
    s3, stack = Versions(), list[int]()
    for deed in deeds:
        if deed is not None:
            activate(s3, deed)
            if stack[-1:] != [deed]:
                stack.append(deed)
        elif s3.written:
            assert go_back(s3) == (stack[-2] if len(stack) > 1 else None)
            if len(stack) > 1:
                stack.pop()


class Refusing(Versions):
    """Refuses every write with one error of S3's."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__()
        self._error = error("PutObject", status, code)

    def put_object(self, **said: Any) -> None:
        raise self._error


@pytest.mark.parametrize("seen", [Pointer(None, None), Pointer(model(1), "1")])
@pytest.mark.parametrize(
    ("status", "code"),
    [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict"), (404, "NoSuchKey")],
)
def test_a_lost_race_for_the_pointer_says_so(status: int, code: str, seen: Pointer) -> None:
    """As S3's documentation tells of conditional writes: 412, 409 and 404."""
    s3: Any = Refusing(status, code)
    with pytest.raises(PointerMovedError, match="by somebody else"):
        active_model.move(s3, "b", seen, model(2))


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDenied"), (404, "NoSuchBucket"), (503, "SlowDown"), (500, "InternalError")],
)
def test_trouble_with_the_pointer_is_no_lost_race(status: int, code: str) -> None:
    s3: Any = Refusing(status, code)
    with pytest.raises(ClientError, match=code):
        active_model.move(s3, "b", Pointer(None, None), model(2))


def test_a_pointer_that_moved_meanwhile_is_not_overwritten() -> None:
    s3: Any = Versions()
    activate(s3, 1)
    seen = active_model.read(s3, "b")
    activate(s3, 2)
    with pytest.raises(PointerMovedError):
        active_model.move(s3, "b", seen, model(3))


def test_a_switch_of_the_mode_is_no_other_model_to_go_back_to() -> None:
    s3: Any = Versions()
    activate(s3, 1)
    activate(s3, 2)
    switched = ActiveModel(model(2).id, None, "m2", "later", "none")
    active_model.move(s3, "b", active_model.read(s3, "b"), switched)
    assert active_model.read(s3, "b").active == switched
    earlier = active_model.before(s3, "b")
    assert earlier is not None
    assert earlier.active == model(1), "and not the same model on the endpoint of before"


@pytest.mark.parametrize(
    ("endpoint", "mode"), [("e", "none"), (None, "instance"), (None, "serverless"), ("e", "async")]
)
def test_a_pointer_that_contradicts_itself_is_an_error(endpoint: str | None, mode: str) -> None:
    text = json.dumps({"id": str(model(1).id), "endpoint": endpoint, "mode": mode})
    with pytest.raises(ValueError, match="no stage answers by the endpoint"):
        ActiveModel.from_json(text)


def test_a_pointer_of_an_earlier_release_is_of_an_endpoint_on_an_instance() -> None:
    text = model(1).to_json()
    assert "mode" not in json.loads(text)
    assert ActiveModel.from_json(text).mode == "instance"
