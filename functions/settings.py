"""The settings of each Lambda function, read from its environment once.

The environment variable has the field's name in capitals. A test compares `serverless.yml` with
these classes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from domain.errors import SortboxError

S = TypeVar("S")


class SettingsError(SortboxError, ValueError):
    """A setting is missing or invalid; the message names it and says what is expected."""


@dataclass(frozen=True, slots=True)
class IntegerRange:
    """A whole number from `least` to `most`, both included."""

    least: int
    most: int

    def parse(self, name: str, text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}", text) or not self.least <= int(text) <= self.most:
            expected = f"a whole number from {self.least} to {self.most}"
            raise SettingsError(f"{name} must be {expected}, not {text!r}")
        return int(text)


@dataclass(frozen=True, slots=True)
class TextPattern:
    """A text that matches `pattern` entirely; error messages show the `example`."""

    pattern: str
    example: str

    def parse(self, name: str, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise SettingsError(f"{name} must look like {self.example}, not {text!r}")
        return text


Name = Annotated[str, TextPattern(r"[^\s/]+", "sortbox-dev-111122223333-eu-west-1")]
Url = Annotated[str, TextPattern(r"https?://\S+", "https://sqs.eu-west-1.amazonaws.com/1/name")]
KmsKey = Annotated[
    str,
    TextPattern(
        r"none|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+",
        "none, or arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ),
]
# The stage is part of every job name, and 63 characters have to hold them all.
StageName = Annotated[str, TextPattern(r"[a-z0-9]{1,8}", "dev: 1 to 8 of a-z and 0-9")]
ExpiredAnswers = Annotated[str, TextPattern(r"remove|keep", "remove, or keep")]
Depth = Annotated[int, IntegerRange(1, 10)]
# SQS delays a message by 15 minutes at most.
QuietSeconds = Annotated[int, IntegerRange(1, 900)]
# Each 15 minutes are one more message from onFolder to itself.
GatherSeconds = Annotated[int, IntegerRange(1, 7_200)]
RetrySeconds = Annotated[int, IntegerRange(1, 900)]


@dataclass(frozen=True, slots=True)
class OnUpload:
    bucket: Name
    stage: StageName
    inbox_queue_url: Url
    backlog_queue_url: Url
    folder_queue_url: Url
    folder_depth: Depth
    folder_quiet_seconds: QuietSeconds
    retry_base_seconds: RetrySeconds
    uploader_burst: Annotated[int, IntegerRange(1, 1_000_000)]
    expired_answers: ExpiredAnswers
    singles_gather_seconds: GatherSeconds


@dataclass(frozen=True, slots=True)
class OnFolder:
    bucket: Name
    stage: StageName
    folder_queue_url: Url
    page_queue_url: Url
    folder_depth: Depth
    folder_quiet_seconds: QuietSeconds
    folder_longest_wait_seconds: Annotated[int, IntegerRange(1, 604_800)]
    singles_gather_seconds: GatherSeconds
    endpoint_max_late: Annotated[int, IntegerRange(0, 10_000)]
    endpoint_max_first: Annotated[int, IntegerRange(0, 10_000)]
    transform_instance_type: Annotated[
        str, TextPattern(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "ml.m5.xlarge")
    ]
    transform_instance_count: Annotated[int, IntegerRange(1, 100)]
    transform_jobs: Annotated[int, IntegerRange(1, 100)]
    retry_base_seconds: RetrySeconds
    kms_key: KmsKey
    reclassify_jobs: Annotated[int, IntegerRange(1, 20)]
    reclassify_ask_above: Annotated[int, IntegerRange(0, 999_999_999)]
    flip_alarm_percent: Annotated[int, IntegerRange(0, 100)]
    review_below_percent: Annotated[int, IntegerRange(0, 100)]
    expired_answers: ExpiredAnswers


@dataclass(frozen=True, slots=True)
class OnPage:
    bucket: Name
    stage: StageName
    page_queue_url: Url
    folder_queue_url: Url
    retry_base_seconds: RetrySeconds


@dataclass(frozen=True, slots=True)
class OnSchedule:
    bucket: Name
    stage: StageName
    folder_queue_url: Url


def variables(settings: type[Any]) -> frozenset[str]:
    """The names of the environment variables that `settings` is read from."""
    return frozenset(field.name.upper() for field in fields(settings))


def from_env(settings: type[S], environ: Mapping[str, str]) -> S:
    """Read a settings class from the environment.

    Raises SettingsError naming all missing variables, or the first invalid one.
    """
    missing = sorted(name for name in variables(settings) if not environ.get(name))
    if missing:
        raise SettingsError(f"not set: {', '.join(missing)}")
    hints = get_type_hints(settings, include_extras=True)
    return settings(
        **{
            name: _rule(hint).parse(name.upper(), environ[name.upper()])
            for name, hint in hints.items()
        }
    )


def _rule(hint: Any) -> IntegerRange | TextPattern:
    rule: IntegerRange | TextPattern = get_args(hint)[1]
    return rule
