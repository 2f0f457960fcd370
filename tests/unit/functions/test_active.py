"""The pointer to the active model, read and remembered for seconds."""

from typing import Any

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from domain.keys import ACTIVE_MODEL
from functions.active import CachedPointer, NoActiveModelError
from tests.support.fakes.aws import FakeS3, error
from tests.support.worlds.uploads import active


def bucket_with(number: int) -> Any:
    s3 = FakeS3()
    s3.put_object(Bucket="bucket", Key=ACTIVE_MODEL, Body=active(number).to_json())
    return s3


def test_the_pointer_names_the_active_model() -> None:
    assert CachedPointer(bucket_with(7), "bucket").model() == active(7)


def test_the_pointer_is_read_once_in_its_seconds() -> None:
    s3 = bucket_with(7)
    pointer = CachedPointer(s3, "bucket", max_age=3600)
    assert {pointer.model() for _ in range(5)} == {active(7)}
    assert s3.calls["GetObject"] == 1


def test_a_pointer_that_has_aged_is_read_again() -> None:
    s3 = bucket_with(7)
    pointer = CachedPointer(s3, "bucket", max_age=0)
    pointer.model()
    s3.put_object(Bucket="bucket", Key=ACTIVE_MODEL, Body=active(8).to_json())
    assert pointer.model() == active(8)


def test_absence_says_what_is_missing_and_is_not_remembered() -> None:
    s3: Any = FakeS3()
    pointer = CachedPointer(s3, "bucket", max_age=3600)
    with pytest.raises(NoActiveModelError, match=r"models/active\.json does not exist"):
        pointer.model()
    s3.put_object(Bucket="bucket", Key=ACTIVE_MODEL, Body=active(7).to_json())
    assert pointer.model() == active(7)


def test_a_missing_permission_is_not_absence() -> None:
    def refuse(operation: str, key: str) -> None:
        raise error(operation, 403, "AccessDenied")

    s3 = bucket_with(7)
    s3.hook = refuse
    with pytest.raises(GetParameterError, match="AccessDenied"):
        CachedPointer(s3, "bucket").model()


def test_a_pointer_that_is_not_one_is_trouble() -> None:
    s3 = bucket_with(7)
    s3.put_object(Bucket="bucket", Key=ACTIVE_MODEL, Body=b'{"id": "pets"}')
    with pytest.raises(ValueError, match="a model id looks like"):
        CachedPointer(s3, "bucket").model()
