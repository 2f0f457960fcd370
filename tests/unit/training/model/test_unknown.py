from random import Random

import numpy as np
import pytest

from training.data.dataset import Example
from training.model.unknown import choose_neighbours, choose_rule, images_needed

ROWS = np.ones((7, 3), np.int8)


def test_no_more_than_the_share_of_further_images_is_unknown() -> None:
    """Over many draws, by the mean: that is what the threshold promises."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        rule = choose_rule(0.05, rng.gamma(2, 1, 59), ROWS)
        shares.append(float((rng.gamma(2, 1, 1_000) > rule.threshold).mean()))
    assert 0.04 < np.mean(shares) < 0.053


@pytest.mark.parametrize(("share", "images"), [(0.05, 19), (0.01, 99), (0.5, 1)])
def test_with_the_fewest_images_the_farthest_is_still_known(share: float, images: int) -> None:
    assert images_needed(share) == images
    rule = choose_rule(share, np.linspace(0.1, 0.4, images), ROWS)
    assert (rule.unknown, rule.images, rule.neighbours, rule.features) == (0, images, 7, 3)
    assert rule.threshold == pytest.approx(0.4 if images > 1 else 0.1)


def test_a_rare_class_keeps_its_images_among_the_neighbours() -> None:
    """Else an image of it would lie far from all, and its class would be called unknown."""
    examples = [
        Example(f"{label}/{number}.jpg", label, "")
        for label, count in ((0, 5_000), (1, 8))
        for number in range(count)
    ]
    chosen = choose_neighbours(examples, 2, Random(0))
    assert len(chosen) == 500
    assert sum(example.label == 1 for example in chosen) == 8
    assert len({example.path for example in chosen}) == 500
    assert choose_neighbours(examples[-8:], 2, Random(0)) != []
