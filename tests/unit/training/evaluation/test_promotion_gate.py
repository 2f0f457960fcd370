"""When a candidate may take the active model's place, and what is said and recorded."""

import pytest

from domain.model import Compiled, ModelCard, Preprocessing, Verdict
from training.evaluation import promotion_gate
from training.evaluation.promotion_gate import Compared, DifferentLabels, NoActiveModel
from training.model.mcnemar import PairedCounts


def card(*labels: str, openvino: Compiled | None = None) -> ModelCard:
    numbers = Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return ModelCard("pets", "resnet50", labels, numbers, "0" * 64, openvino=openvino)


def compared(wins: int, losses: int) -> Compared:
    return Compared("pets:1", 0.9, PairedCounts(wins, losses))


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (5, 5), (9, 0), (0, 5), (10, 15)])
def test_a_model_that_chance_may_have_made_look_worse_is_let_through(
    wins: int, losses: int
) -> None:
    assert promotion_gate.rejection(compared(wins, losses), False, "") is None


@pytest.mark.parametrize(("wins", "losses"), [(0, 6), (1, 9), (10, 30), (400, 500)])
def test_a_model_that_is_worse_beyond_chance_is_refused_unless_overridden(
    wins: int, losses: int
) -> None:
    assert "worse" in str(promotion_gate.rejection(compared(wins, losses), False, ""))
    assert "worse" in str(promotion_gate.rejection(compared(wins, losses), True, ""))
    assert promotion_gate.rejection(compared(wins, losses), False, "it is smaller") is None


def test_both_counts_are_told_and_recorded() -> None:
    told = promotion_gate.describe(compared(3, 21))
    assert "on 3 of them" in told
    assert "on 21" in told
    kept = promotion_gate.registry_metadata(compared(3, 21), "it is smaller")
    assert (kept["wins"], kept["losses"], kept["override"]) == ("3", "21", "it is smaller")


def test_other_labels_cannot_be_compared_and_want_a_word() -> None:
    found = promotion_gate.compare_labels(card("cat", "dog"), card("cat", "bird"), "pets:1")
    assert found == DifferentLabels("pets:1", ("dog",), ("bird",))
    assert "cannot be compared" in promotion_gate.describe(found)
    assert "--replace-labels" in str(promotion_gate.rejection(found, False, "I want it"))
    assert promotion_gate.rejection(found, True, "") is None


def test_the_order_of_labels_makes_no_other_labels() -> None:
    assert promotion_gate.compare_labels(card("cat", "dog"), card("dog", "cat"), "pets:1") is None


@pytest.mark.parametrize(
    ("candidate", "gained", "lost"),
    [
        (("cat",), (), ("dog",)),
        (("cat", "dog", "bird"), ("bird",), ()),
        ((), (), ("cat", "dog")),
    ],
)
def test_fewer_labels_or_more_are_other_labels(
    candidate: tuple[str, ...], gained: tuple[str, ...], lost: tuple[str, ...]
) -> None:
    found = promotion_gate.compare_labels(card(*candidate), card("cat", "dog"), "pets:1")
    assert found == DifferentLabels("pets:1", gained, lost), (
        "A candidate that forgot a label answers every image of it wrongly, and its users' filters "
        "find nothing: that wants --replace-labels, however many images it wins."
    )


def test_the_first_model_has_nothing_to_beat() -> None:
    assert promotion_gate.rejection(NoActiveModel(), False, "") is None


def compiled(precision: str, outcome: str) -> Compiled:
    verdict = Verdict(precision, outcome, 100, 0, 0, 1.0, 90, 90)  # type: ignore[arg-type]
    return Compiled(precision, {}, (verdict,))  # type: ignore[arg-type]


def test_a_precision_that_nobody_judged_is_not_promoted() -> None:
    assert "not judged" in str(
        promotion_gate.unevaluated_precision(card("cat", openvino=compiled("int8", "not judged")))
    )
    assert (
        promotion_gate.unevaluated_precision(card("cat", openvino=compiled("int8", "kept"))) is None
    )
    assert promotion_gate.unevaluated_precision(card("cat", openvino=Compiled("fp32", {}))) is None
    assert "not judged" in str(
        promotion_gate.unevaluated_precision(card("cat", openvino=Compiled("bf16", {})))
    )
    assert promotion_gate.unevaluated_precision(card("cat")) is None
