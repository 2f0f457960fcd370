"""What people say of an image: its form, and one decision whatever arrives when."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.corrections.form import (
    Correction,
    check,
    from_json,
    name_of,
    to_json,
)
from domain.corrections.settling import Settled, settle
from tests.support.builders import vocabulary as some

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
WORD = Correction(
    "20261128T120000.000-00000000000000aa", "inbox/a.jpg", "e1", "skirt", "dress", "ann"
)


def at(number: int, who: str, to: str | None, withdraws: Correction | None = None) -> Correction:
    """The correction of the second `number`."""
    name = f"20261128T1200{number:02}.000-{number:016x}"
    return replace(WORD, name=name, who=who, to=to, withdraws=withdraws.name if withdraws else None)


def undo(number: int, who: str, other: Correction) -> Correction:
    return at(number, who, None, other)


of_one_version = st.lists(
    some.corrections.map(lambda one: replace(one, image="inbox/a.jpg", etag="e")),
    max_size=8,
    unique_by=lambda one: one.name,  # the name of its object in S3
)


@given(some.corrections)
def test_a_correction_is_read_back(correction: Correction) -> None:
    assert from_json(correction.name, to_json(correction)) == correction
    assert name_of(correction.key) == correction.name


@given(of_one_version, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(corrections: list[Correction], random: Any) -> None:
    shuffled = [*corrections, *corrections[:2]]
    random.shuffle(shuffled)
    assert settle(shuffled) == settle(corrections), "each counts once, whenever it arrives"


@given(of_one_version)
def test_the_newest_that_is_not_withdrawn_rules(corrections: list[Correction]) -> None:
    settled = settle(corrections)
    if settled.ruling is None:
        assert not settled.differing
        return
    assert settled.ruling.withdraws is None
    for other in settled.differing:
        assert other.who != settled.ruling.who
        assert other.to != settled.ruling.to
        assert other.name < settled.ruling.name
    writers = [other.who for other in settled.differing]
    assert len(writers) == len(set(writers)), "each person's last word, once"


@given(of_one_version, some.persons)
def test_an_undo_leaves_what_was_before_and_an_undo_of_it_restores_it(
    corrections: list[Correction], who: str
) -> None:
    settled = settle(corrections)
    if settled.ruling is None:
        return
    without = [one for one in corrections if one.name != settled.ruling.name]
    first = replace(settled.ruling, name="20270101T000000.000-0000000000000001", who=who, to=None,
                    withdraws=settled.ruling.name)  # fmt: skip
    second = replace(first, name="20270101T000001.000-0000000000000001", withdraws=first.name)
    third = replace(second, name="20270101T000002.000-0000000000000001", withdraws=second.name)
    assert settle([*corrections, first]) == settle(without)
    assert settle([*corrections, first, second]) == settled
    assert settle([*corrections, first, second, third]) == settle(without)


Steps = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cid"]),
        st.sampled_from(["skirt", "dress", None, "undo"]),
    ),
    max_size=12,
)


@given(Steps, st.tuples(*[st.integers(-90_000, 90_000)] * 3))
def test_clocks_that_differ_do_not_change_who_spoke_last(
    steps: list[tuple[str, str | None]], wrong_by: tuple[int, int, int]
) -> None:
    """Three people, whose clocks are wrong by up to a day, speak in turns and see each other."""
    clocks = dict(zip(("ann", "bob", "cid"), wrong_by, strict=True))
    said: list[Correction] = []
    stack: list[str | None] = []
    for second, (who, what) in enumerate(steps):
        now = NOW + timedelta(seconds=second + clocks[who])
        name = some.name_after(now, f"{second:016x}", [one.name for one in said])
        ruling = settle(said).ruling
        if what == "undo":
            if ruling is not None:
                said.append(replace(WORD, name=name, who=who, to=None, withdraws=ruling.name))
                stack.pop()
        else:
            said.append(replace(WORD, name=name, who=who, to=what))
            stack.append(what)
    ruling = settle(said).ruling
    assert (ruling.to if ruling else "nothing") == (stack[-1] if stack else "nothing")


ANN, BOB = at(1, "ann", "dress"), at(2, "bob", "skirt")


def test_two_people_who_differ_are_shown_until_somebody_confirms() -> None:
    assert settle([ANN, BOB]) == Settled(BOB, (ANN,))
    for confirming in (at(3, "ann", "skirt"), at(3, "bob", "skirt"), at(3, "cid", "skirt")):
        assert settle([ANN, BOB, confirming]) == Settled(confirming)
    again = at(3, "ann", "dress")
    assert settle([ANN, BOB, again]) == Settled(again, (BOB,)), "they still differ"
    third = at(3, "cid", None)
    assert settle([ANN, BOB, third]) == Settled(third, (BOB, ANN))


def test_a_person_who_changes_a_mind_differs_from_nobody() -> None:
    assert settle([ANN, at(2, "ann", "skirt")]) == Settled(at(2, "ann", "skirt"))
    assert settle([]) == Settled(None)
    assert settle([ANN, undo(2, "bob", ANN)]) == Settled(None)


def test_an_undo_of_one_that_is_later_or_of_another_image_takes_nothing_back() -> None:
    later = at(5, "ann", "dress")
    assert settle([later, undo(2, "bob", later)]) == Settled(later)
    with pytest.raises(ValueError, match="earlier one only"):
        check(undo(2, "bob", later))


@pytest.mark.parametrize(
    "key",
    [
        "training/corrections/x.json",
        f"training/corrections/{WORD.name}",
        f"training/corrections/trip/{WORD.name}.json",
        f"{WORD.name}.json",
        f"training/corrections/{WORD.name}.json.json",
        f"training/corrections/{WORD.name.upper()}.json",
    ],
)
def test_another_key_is_no_correction(key: str) -> None:
    assert name_of(key) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image": "outbox/a.jpg"}, "about an image of inbox/"),
        ({"image": "inbox/"}, "about an image of inbox/"),
        ({"image": "inbox/" + "x" * 1020}, "1 to 1,024 bytes"),
        ({"etag": ""}, "'etag'"),
        ({"who": "x" * 257}, "'who'"),
        ({"to": ""}, "'to'"),
        ({"to": "é" * 2001}, "'to'"),
        ({"to": "\ud800"}, "no Unicode text"),
        ({"before": ""}, "'from'"),
        ({"name": "20261301T000000.000-00000000000000aa"}, "does not match format"),
        ({"withdraws": "x"}, "not the name of a correction"),
        ({"withdraws": "20261128T110000.000-00000000000000aa"}, "has no label"),
    ],
)
def test_what_no_correction_may_hold_is_refused(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        to_json(replace(WORD, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"schema": True},
        {"schema": 1.0},
        {"at": "2026-11-28T12:00:01Z"},
        {"who": None},
        {"to": 3},
        {"more": 1},
        {"image": ["inbox/a"]},
        {"to": "\ud800"},
    ],
)
def test_another_document_is_refused(changes: dict[str, object]) -> None:
    document = json.loads(to_json(WORD)) | changes
    with pytest.raises(ValueError, match=r"."):
        from_json(WORD.name, json.dumps(document))


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"\xff", b"[" * 60_000, b" " * 70_000])
def test_what_is_no_document_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(WORD.name, text)
