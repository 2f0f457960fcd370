"""A wrong parameter is refused before anything is deployed, with a sentence."""

from pathlib import Path

import pytest

from infra.shipped import REPOSITORY
from infra.stacks.stage_parameters import ParameterError, check, find_error, params

GOOD = {
    "reclassifySchedule": "cron(0 3 ? * SUN *)",
    "unansweredSchedule": "cron(17 2 * * ? *)",
    "reclassifyTimeZone": "Europe/Berlin",
    "reclassifyState": "ENABLED",
    "dashboardState": "DISABLED",
    "budgetDollars": 0,
    "inboxKeepDays": 0,
    "expiredAnswers": "remove",
    "reclassifyPrefix": "trip/",
}


@pytest.mark.parametrize(
    "expression",
    [
        *("cron(0 3 ? * SUN *)", "cron(0/15 8-18 ? * MON-FRI 2026-2030)", "cron(5,35 * L * ? *)"),
        *("cron(0 0 1 JAN ? *)", "cron(0 12 ? * 6L *)", "cron(0 12 ? * TUE#2 *)"),
        *("cron(0 12 15W * ? *)", "rate(1 hour)", "rate(30 minutes)", "rate(7 days)"),
    ],
)
def test_what_eventbridge_scheduler_takes_is_right(expression: str) -> None:
    assert find_error(expression) is None


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("0 3 * * *", "neither cron"),
        ("every sunday", "neither cron"),
        ("at(2026-11-22T13:00:00)", "neither cron"),
        ("rate(0 hours)", "neither cron"),
        ("cron(0 3 * * *)", "5 fields"),
        ("cron(0 3 * * * *)", "needs one \\?"),
        ("cron(0 3 ? * ? *)", "needs one \\?"),
        ("cron(60 3 ? * SUN *)", "'60' in .* is no minute"),
        ("cron(0 24 ? * SUN *)", "no hour"),
        ("cron(0 3 32 * ? *)", "no day of the month"),
        ("cron(0 3 ? 13 SUN *)", "no month"),
        ("cron(0 3 ? * SUNDAY *)", "no day of the week"),
        ("cron(0 3 ? * 0 *)", "no day of the week"),
        ("cron(0 3 ? * SUN 1969)", "no year"),
        ("cron(*/0 3 ? * SUN *)", "no minute"),
        ("cron(a 3 ? * SUN *)", "no minute"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong_and_shows_a_right_one(
    expression: str, why: str
) -> None:
    with pytest.raises(ParameterError, match=f"reclassifySchedule: .*{why}") as raised:
        check(GOOD | {"reclassifySchedule": expression})
    assert "cron(0 3 ? * SUN *)" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unansweredSchedule", "daily"),
        ("reclassifyTimeZone", "Berlin"),
        ("reclassifyState", "on"),
        ("dashboardState", True),
        ("inboxKeepDays", -1),
        ("inboxKeepDays", 3651),
        ("inboxKeepDays", "a month"),
        ("expiredAnswers", True),
        ("budgetDollars", "12.50"),
        ("budgetDollars", -1),
        ("budgetDollars", "$100"),
        ("reclassifyPrefix", 'a"b'),
        ("reclassifyPrefix", "inbox/trip/"),
    ],
)
def test_each_parameter_names_itself(name: str, value: object) -> None:
    check(GOOD)
    with pytest.raises(ParameterError, match=f"^{name}: "):
        check(GOOD | {name: value})


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_what_is_in_the_template_is_right(stage: str) -> None:
    check(params(REPOSITORY / "serverless.yml", stage))


def test_a_stage_s_parameters_come_over_the_default_ones(tmp_path: Path) -> None:
    template = tmp_path / "serverless.yml"
    template.write_text("params:\n  default: {a: 1, b: !Sub x}\n  dev: {a: 2}\n  prod:\n")
    assert params(template, "dev") == {"a": 2, "b": None}
    assert params(template, "prod") == {"a": 1, "b": None}
