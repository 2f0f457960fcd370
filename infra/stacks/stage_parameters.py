"""Read a stage's parameters from serverless.yml, and check schedules, words and numbers of them.

CloudFormation would reject a wrong one too, but minutes later and in the middle of an update. Those
of the endpoint are checked in `infra.endpoint_settings`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import yaml

from domain.errors import SortboxError

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
EXAMPLE = "cron(0 3 ? * SUN *) is every Sunday at three"

FIELDS: tuple[tuple[str, int, int, tuple[str, ...], str], ...] = (
    ("minute", 0, 59, (), ""),
    ("hour", 0, 23, (), ""),
    ("day of the month", 1, 31, (), r"|\?|L|LW|\d{1,2}W"),
    ("month", 1, 12, MONTHS, ""),
    ("day of the week", 1, 7, DAYS, r"|\?|L|(\d|[A-Z]{3})(L|#[1-5])"),
    ("year", 1970, 2199, (), ""),
)
"""Fields of an EventBridge Scheduler cron expression: name, least and most value, names of values,
and other allowed characters."""


WORDS: Mapping[str, tuple[str, ...]] = {
    "reclassifyState": ("ENABLED", "DISABLED"),
    "dashboardState": ("ENABLED", "DISABLED"),
    "expiredAnswers": ("remove", "keep"),
}
"""Parameters that are one of a few words."""

NUMBERS: Mapping[str, tuple[int, str]] = {
    "budgetDollars": (999_999, "US dollars a month, or 0 for no budget"),
    "inboxKeepDays": (3_650, "days, or 0 for ever"),
}
"""The most, and what is counted. CloudFormation checks the latter again, by its MaxValue."""


class ParameterError(SortboxError, ValueError):
    """A parameter is invalid; the message names it and the expected form."""


def check(params: Mapping[str, Any]) -> None:
    """Check a stage's parameters. Raises ParameterError for the first invalid one."""
    for name in ("reclassifySchedule", "unansweredSchedule"):
        wrong = find_error(str(params.get(name, "")))
        if wrong:
            raise ParameterError(f"{name}: {wrong}")
    zone = str(params.get("reclassifyTimeZone", ""))
    if zone not in available_timezones():
        raise ParameterError(f"reclassifyTimeZone: {zone!r} is no time zone; Europe/Berlin is one")
    for name, words in WORDS.items():
        if params.get(name) not in words:
            raise ParameterError(f"{name}: {' or '.join(words)}")
    for name, (most, meaning) in NUMBERS.items():
        text = str(params.get(name, ""))
        if not re.fullmatch(r"\d{1,6}", text) or int(text) > most:
            raise ParameterError(f"{name}: a whole number of {meaning}, {most:,} at most")
    _check_prefix(str(params.get("reclassifyPrefix", "")))


def _check_prefix(prefix: str) -> None:
    if prefix.startswith(("inbox/", "/")) or not re.fullmatch(r'[^"\\<>\x00-\x1f]*', prefix):
        raise ParameterError(
            f"reclassifyPrefix: {prefix!r} is not a path below inbox/, such as trip/, without "
            "quotes, backslashes, < and >"
        )


def find_error(expression: str) -> str | None:
    """What is wrong with a schedule expression; None if it is valid."""
    if re.fullmatch(r"rate\([1-9]\d{0,5} (minute|hour|day)s?\)", expression):
        return None
    match = re.fullmatch(r"cron\((.*)\)", expression)
    if match is None:
        return f"{expression!r} is neither cron(…) nor rate(…); {EXAMPLE}"
    fields = match[1].split()
    if len(fields) != len(FIELDS):
        return f"{expression!r} has {len(fields)} fields and not six; {EXAMPLE}"
    for text, (name, least, most, names, special) in zip(fields, FIELDS, strict=True):
        if not _is_field(text.upper(), least, most, names, special):
            return f"{text!r} in {expression!r} is no {name} ({least} to {most}); {EXAMPLE}"
    if (fields[2] == "?") == (fields[4] == "?"):
        return f"{expression!r} needs one ?, for the day of the month or of the week; {EXAMPLE}"
    return None


def _is_field(text: str, least: int, most: int, names: tuple[str, ...], special: str) -> bool:
    if special and re.fullmatch(special.removeprefix("|"), text):
        return True
    return all(_is_part(part, least, most, names) for part in text.split(","))


def _is_part(text: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    span, _, step = text.partition("/")
    if "/" in text and not (step.isdecimal() and int(step) >= 1):
        return False
    if span == "*":
        return True
    ends = [_value(end, least, names) for end in span.split("-", 1)]
    return all(end is not None and least <= end <= most for end in ends)


def _value(text: str, least: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + least
    return int(text) if text.isascii() and text.isdecimal() else None


def params(template: Path, stage: str) -> dict[str, Any]:
    """A stage's parameters in serverless.yml: its own ones override the defaults."""
    document = yaml.load(template.read_text(), _Template)["params"]
    return {**document["default"], **(document.get(stage) or {})}


def meanings(template: Path) -> dict[str, str]:
    """The meaning of each parameter: the comment on its line in serverless.yml."""
    text = template.read_text()
    block = text[text.index("\n  default:\n") : text.index("\n  local:\n")]
    return dict(re.findall(r"^    (\w+): .*? # (.+)$", block, re.MULTILINE))


class _Template(yaml.SafeLoader):
    """A YAML loader that ignores CloudFormation's tags, such as `!Sub`."""


_Template.add_multi_constructor("!", lambda loader, suffix, node: None)
