"""A setting that is missing or wrong names itself."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from domain.keys import JobName
from functions.settings import (
    OnFolder,
    OnPage,
    OnSchedule,
    OnUpload,
    SettingsError,
    from_env,
    variables,
)
from infra.stage import Stage, StageError

STORAGE = Path(__file__).parents[3] / "infra/stacks/storage.yml"

GOOD = {
    "BUCKET": "sortbox-dev-1-eu-west-1",
    "STAGE": "dev",
    "INBOX_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/inbox",
    "BACKLOG_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/backlog",
    "UPLOADER_BURST": "50",
    "EXPIRED_ANSWERS": "remove",
    "FOLDER_QUEUE_URL": "http://127.0.0.1:4566/1/folder",
    "PAGE_QUEUE_URL": "http://127.0.0.1:4566/1/page",
    "FOLDER_DEPTH": "1",
    "FOLDER_QUIET_SECONDS": "60",
    "FOLDER_LONGEST_WAIT_SECONDS": "600",
    "SINGLES_GATHER_SECONDS": "900",
    "ENDPOINT_MAX_LATE": "200",
    "ENDPOINT_MAX_FIRST": "0",
    "KMS_KEY": "none",
    "TRANSFORM_INSTANCE_TYPE": "ml.m5.xlarge",
    "TRANSFORM_JOBS": "10",
    "TRANSFORM_INSTANCE_COUNT": "1",
    "RETRY_BASE_SECONDS": "5",
    "RECLASSIFY_JOBS": "1",
    "RECLASSIFY_ASK_ABOVE": "100000",
    "FLIP_ALARM_PERCENT": "20",
    "REVIEW_BELOW_PERCENT": "50",
}

ALL = [OnUpload, OnFolder, OnPage, OnSchedule]


@pytest.mark.parametrize("settings", ALL)
def test_settings_are_read_from_variables_of_their_names(settings: type[Any]) -> None:
    read = from_env(settings, GOOD)
    assert {field.name: str(getattr(read, field.name)) for field in fields(read)} == {
        field.name: GOOD[field.name.upper()] for field in fields(read)
    }


def test_numbers_are_numbers() -> None:
    assert from_env(OnUpload, GOOD).folder_quiet_seconds == 60


@pytest.mark.parametrize("settings", ALL)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_names_itself(settings: type[Any], value: str | None) -> None:
    for name in variables(settings):
        environ = GOOD | {name: value} if value is not None else GOOD.copy()
        if value is None:
            del environ[name]
        with pytest.raises(SettingsError, match=f"^not set: {name}$"):
            from_env(settings, environ)


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match="not set: BUCKET, FOLDER_QUEUE_URL, STAGE"):
        from_env(OnSchedule, {})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("FOLDER_QUIET_SECONDS", "901", "a whole number from 1 to 900, not '901'"),
        ("FOLDER_QUIET_SECONDS", "0", "a whole number from 1 to 900"),
        ("FOLDER_DEPTH", "one", "a whole number from 1 to 10, not 'one'"),
        ("FOLDER_DEPTH", "1.5", "a whole number"),
        ("RETRY_BASE_SECONDS", "-1", "a whole number from 1 to 900"),
        ("STAGE", "production", "dev: 1 to 8 of a-z and 0-9, not 'production'"),
        ("STAGE", "Dev", "1 to 8 of a-z and 0-9"),
        ("BUCKET", "a/b", "must look like"),
        ("FOLDER_QUEUE_URL", "folder", "must look like https://sqs."),
    ],
)
def test_a_wrong_setting_says_what_is_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        from_env(OnUpload, GOOD | {name: value})
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("stage", "is_one"),
    [("d", True), ("eightlet", True), ("ninelettr", False), ("", False), ("a-b", False)],
)
def test_a_stage_is_the_same_wherever_it_is_read(stage: str, is_one: bool) -> None:
    """A ninth letter would leave no room in a transform job's name of 63 characters."""
    longest = JobName(stage, "s" * 20, "0123456789", 9, 999_999, 9)
    parameter = re.search(r'AllowedPattern: "(\S+)"', STORAGE.read_text())
    assert parameter is not None
    read: dict[str, Callable[[], object]] = {
        "a function's settings": lambda: from_env(OnUpload, GOOD | {"STAGE": stage}),
        "the name of a job": lambda: JobName.parse(str(longest)),
        "what a person types": lambda: Stage(stage),
        "the template": lambda: re.fullmatch(parameter[1], stage)[0],  # type: ignore[index]
    }
    taken = {where for where, parse in read.items() if _is_taken(parse)}
    assert taken == (set(read) if is_one else set())
    if is_one:
        assert len(str(longest)) <= 63


def _is_taken(parse: Callable[[], object]) -> bool:
    try:
        parse()
    except (ValueError, StageError, TypeError):
        return False
    return True


@pytest.mark.parametrize("value", ["m5.xlarge", "ml.m5", "ML.m5.xlarge"])
def test_an_instance_type_is_one_of_sagemakers(value: str) -> None:
    with pytest.raises(SettingsError, match="TRANSFORM_INSTANCE_TYPE must look like"):
        from_env(OnFolder, GOOD | {"TRANSFORM_INSTANCE_TYPE": value})
