"""The order by neighbours: what counts as a label, what comes first, and what the page says."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.answers.features import NO_ENDPOINT, FeatureState
from console.answers.index import AnswerRow, to_row
from console.answers.unlike import describe_state, suggest
from console.context import Console
from domain.corrections.form import Correction
from domain.keys import result_key
from infra.review.stored import CorrectionStore
from tests.support.builders import vocabulary as some
from tests.support.builders.answers import classified
from tests.support.worlds.consoles import mocked_console

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    runtime: Any = None
    with mocked_console(tmp_path / "console", runtime=runtime) as console:
        yield console


def compared(*labels: str) -> list[tuple[AnswerRow, bytes]]:
    """Images that are all alike, so that only labels tell them apart."""
    rows = []
    for number, label in enumerate(labels):
        result = classified(f"{number:02}.jpg", (label, 0.9))
        row = to_row(result, result_key(result.image), "r")
        rows.append((row, np.array([1, number / 1000], "<f2").tobytes()))
    return rows


def correct(store: CorrectionStore, image: str, to: str | None, number: int = 1) -> None:
    name = some.name_after(NOW, f"{number:016x}")
    store.write(Correction(name, f"inbox/{image}", "e1", "boots", to, "anna"))


def test_the_share_of_neighbours_with_another_label_orders_them(console: Console) -> None:
    store = CorrectionStore(console.bucket, console.folder)
    ordered = suggest(compared(*["boots"] * 9, "coat", "coat"), store)
    names = [(one.row.image, one.neighbours) for one in ordered]
    assert names[:2] == [
        ("inbox/09.jpg", "9 of its 10 nearest images are called boots"),
        ("inbox/10.jpg", "9 of its 10 nearest images are called boots"),
    ]
    assert names[2] == ("inbox/00.jpg", "2 of its 10 nearest images are called coat")
    assert suggest([], store) == []


def test_a_correction_counts_as_the_label_and_is_not_suggested_again(console: Console) -> None:
    store = CorrectionStore(console.bucket, console.folder)
    correct(store, "00.jpg", "coat", 1)
    correct(store, "01.jpg", None, 2)
    ordered = suggest(compared(*["boots"] * 4), store)
    names = [(one.row.image, one.neighbours) for one in ordered]
    assert [name for name, _ in names[:2]] == ["inbox/02.jpg", "inbox/03.jpg"]
    assert {sentence for _, sentence in names[:2]} <= {
        "1 of its 3 nearest images is called coat, 1 has another label",
        "1 of its 3 nearest images is called none of the labels, 1 has another label",
    }
    assert [name for name, _ in names[2:]] == ["inbox/00.jpg", "inbox/01.jpg"], "looked at"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (FeatureState(0, 0, 9, 9, NO_ENDPOINT), "no endpoint"),
        (FeatureState(120, 1_880, 2_000, 9_000, ""), "120 of 2,000 compared so far"),
        (FeatureState(1_990, 0, 2_000, 9_000, ""), "1,990 of 2,000 compared: the others are gone"),
        (FeatureState(2_000, 0, 2_000, 10**6, ""), "the newest 2,000 of 1,000,000"),
        (FeatureState(20, 0, 20, 20, ""), "20 compared with each other"),
    ],
)
def test_the_page_says_how_far_it_is(state: FeatureState, words: str) -> None:
    assert words in describe_state(state)
