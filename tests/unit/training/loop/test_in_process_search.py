"""What is said of the best trial of a search, beside the default values."""

import pytest

from training.loop.in_process_search import describe_comparison
from training.model.mcnemar import PairedCounts


@pytest.mark.parametrize(
    ("wins", "losses", "sentence"),
    [
        (2, 0, "The best is no more accurate than the default, lr=0.001, beyond chance."),
        (12, 10, "The best is no more accurate than the default, lr=0.001, beyond chance."),
        (0, 0, "The best is no more accurate than the default, lr=0.001, beyond chance."),
        (12, 1, "The best is more accurate than the default, lr=0.001."),
        (1, 12, "The best is less accurate than the default, lr=0.001."),
    ],
)
def test_a_difference_by_chance_is_not_called_better(wins: int, losses: int, sentence: str) -> None:
    said = describe_comparison("lr=0.001", PairedCounts(wins, losses), 270, 10)
    assert said.startswith(sentence)
    assert (
        f"Of 270 validation images, {wins} are right with the best only and {losses} with" in said
    )


def test_the_best_of_many_trials_needs_a_clearer_difference() -> None:
    """p is 0.0034 for one trial: of 20 such, the best has it by chance more than once in 20."""
    said = [describe_comparison("lr=0.001", PairedCounts(12, 1), 270, each) for each in (1, 20)]
    assert said[0].startswith("The best is more accurate than the default")
    assert "p = 0.00342 for the best of 1)" in said[0]
    assert said[1].startswith("The best is no more accurate than the default")
    assert "p = 0.0684 for the best of 20)" in said[1]
