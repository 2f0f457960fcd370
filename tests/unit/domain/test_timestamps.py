from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import timestamps

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones)


@given(moments)
def test_a_time_is_read_back_to_the_second(moment: datetime) -> None:
    assert timestamps.parse(timestamps.to_text(moment)) == moment.replace(microsecond=0)


@given(moments, moments)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    texts = [timestamps.to_text(each) for each in sorted([one, other])]
    assert texts == sorted(texts)


def test_the_form_is_the_same_everywhere() -> None:
    there = timezone(timedelta(hours=2))
    assert timestamps.to_text(datetime(2026, 11, 22, 11, 0, 0, 999_999, there)) == (
        "2026-11-22T09:00:00Z"
    )


@pytest.mark.parametrize(
    "text",
    ["2026-11-22T09:00:00Z", "2026-11-22T09:00:00+00:00", "2026-11-22T11:00:00+02:00",
     "2026-11-22T09:00:00"],
)  # fmt: skip
def test_earlier_forms_are_read(text: str) -> None:
    assert timestamps.parse(text) == datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_any_other_text_is_refused() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        timestamps.parse("yesterday")
