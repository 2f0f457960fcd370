"""What is said of the best trial of a search, beside the default values."""

import pytest

from training.loop.in_process_search import describe_comparison
from training.model.mcnemar import PairedCounts


@pytest.mark.parametrize(
    ("wins", "losses", "sentence"),
    [
        (2, 0, "The best is no better than the default, lr=0.001, beyond chance."),
        (12, 10, "The best is no better than the default, lr=0.001, beyond chance."),
        (0, 0, "The best is no better than the default, lr=0.001, beyond chance."),
        (12, 1, "The best is better than the default, lr=0.001."),
        (1, 12, "The best is worse than the default: train with lr=0.001."),
    ],
)
def test_a_difference_by_chance_is_not_called_better(wins: int, losses: int, sentence: str) -> None:
    said = describe_comparison("lr=0.001", PairedCounts(wins, losses), 270)
    assert said.startswith(sentence)
    assert (
        f"Of 270 validation images, {wins} are right with the best only and {losses} with" in said
    )
