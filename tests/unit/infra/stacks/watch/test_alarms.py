"""Whoever is woken by an alarm finds what to do: each alarm names its section of the page."""

import re

import pytest

from infra.shipped import REPOSITORY
from tests.support.builders.packaged import Template, of_type, packaged

PAGE = "docs/how-to/alarms.md"
PARTS = ("Means", "Look", "Mend", "Over")
STAGE = "sortbox-dev-"


def alarms() -> dict[str, Template]:
    """The template's alarms by their name without the stage."""
    deployed = of_type(packaged("dev"), "AWS::CloudWatch::Alarm").values()
    return {alarm["AlarmName"].removeprefix(STAGE): alarm for alarm in deployed}


def sections() -> dict[str, str]:
    """The text of the page's sections of alarms by their title."""
    text = (REPOSITORY / PAGE).read_text()
    parts = re.split(r"^(#+) (.+)$", text, flags=re.MULTILINE)
    levels, titles, bodies = parts[1::3], parts[2::3], parts[3::3]
    return {
        title: body
        for level, title, body in zip(levels, titles, bodies, strict=True)
        if level == "###"
    }


def test_each_alarm_has_a_section_and_each_section_an_alarm() -> None:
    assert alarms().keys() == sections().keys(), (
        f"an alarm wakes a person who has not read the code: {PAGE} has a section '### NAME' for "
        "each alarm of infra/stacks/alarms.yml, and none for an alarm that is gone"
    )


@pytest.mark.parametrize("name", sections())
def test_a_section_says_what_it_means_and_how_to_see_that_it_is_over(name: str) -> None:
    body = sections()[name]
    assert tuple(re.findall(r"^\*\*(\w+)\.\*\* ", body, re.MULTILINE)) == PARTS, (
        f"{PAGE}#{name.lower()}: a person reads it under stress, in the same order each time"
    )
    look = body.partition("**Look.**")[2].partition("**Mend.**")[0]
    assert "./sortbox " in look, f"{PAGE}#{name.lower()}: 'Look' begins with a command to copy"


def test_the_description_of_an_alarm_ends_with_its_section() -> None:
    lost = {
        name: alarm["AlarmDescription"]
        for name, alarm in alarms().items()
        if not alarm["AlarmDescription"].endswith(f" See {PAGE}#{name.lower()}")
    }
    assert not lost, "the description is all that the mail of an alarm shows"


def test_a_description_fits() -> None:
    longest = max(len(alarm["AlarmDescription"]) for alarm in alarms().values())
    assert longest <= 1024, "CloudWatch refuses a longer AlarmDescription"
