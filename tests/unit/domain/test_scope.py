"""What a sweep covers, and that no sweep is ever taken for a folder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.keys import SWEEPS, image_key, reclassification_file
from domain.route import Ignored, route
from domain.scope import RECLASSIFICATION, Scope
from tests.support.builders.vocabulary import nonces, paths


@pytest.mark.parametrize(
    ("live", "asked", "covered"),
    [
        (Scope("", "renewal"), Scope("trip/", "renewal"), True),
        (Scope("", "renewal"), Scope("", "unanswered"), True),
        (Scope("trip/", "renewal"), Scope("trip/", "renewal"), True),
        (Scope("trip/", "renewal"), Scope("trip/day 1/", "unanswered"), True),
        (Scope("trip/", "renewal"), Scope("", "renewal"), False),
        (Scope("trip/", "renewal"), Scope("other/", "renewal"), False),
        (Scope("", "unanswered"), Scope("trip/", "renewal"), False),
    ],
)
def test_a_sweep_covers_what_is_below_it_and_asks_for_no_more(
    live: Scope, asked: Scope, covered: bool
) -> None:
    assert live.covers(asked) is covered


@given(paths)
def test_a_sweep_is_neither_a_folder_nor_a_single(path: str) -> None:
    for kind in ("unanswered", "renewal"):
        sweep = Scope(path, kind)
        assert sweep.is_reclassification
        assert not sweep.is_folder
        assert sweep.token == RECLASSIFICATION != Scope(path).token


@given(st.datetimes(), nonces)
def test_what_a_sweep_leaves_is_no_image_s_result(at: object, nonce: str) -> None:
    key = reclassification_file(f"{at}+00:00", nonce, "_status.json")
    assert key.startswith(SWEEPS)
    image = image_key(key)
    assert image is not None
    assert isinstance(route(image), Ignored)
