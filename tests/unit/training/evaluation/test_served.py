"""What validation images choose for the model as it serves."""

import weakref
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from domain.model import Preprocessing
from serving.decoding.decoded import DecodedImage
from serving.engines.outputs import Outputs
from serving.preprocess import Pixels
from tests.support.builders.colours import CARD
from training.config.train_config import TrainConfig
from training.data.dataset import Dataset, Example
from training.data.loader import Images
from training.distributed import Distributed
from training.evaluation import served

SIDE = 8


class Drawn(Images):
    """Noise, another for each path."""

    def load(
        self, example: Example, on_decoded: Callable[[DecodedImage], None] | None = None
    ) -> Pixels:
        rng = np.random.default_rng(Random(example.path).randrange(2**32))
        return rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def engine(pixels: Pixels, exclusive: bool) -> Outputs:
    """Its features are the pixels of the first two rows."""
    features = pixels[:, :2].reshape(len(pixels), -1).astype(np.float32)
    scores = np.tile(np.array([0.5, 0.3, 0.2], np.float32), (len(pixels), 1))
    return Outputs(scores, features)


def drawn(config: TrainConfig, validation: int, train: int = 60) -> Images:
    splits = {
        split: tuple(Example(f"{split}/{number}", number % 3, "") for number in range(count))
        for split, count in (("train", train), ("validation", validation))
    }
    dataset = Dataset(Path(), CARD.labels, splits, (), (), "")
    numbers = Preprocessing(SIDE, SIDE, (0, 0, 0), (1, 1, 1))
    return Drawn(dataset, numbers, config, Distributed.from_env({}))


@pytest.mark.parametrize(
    ("share", "validation", "has_rule"),
    [
        (0.05, 18, False),
        (0.05, 19, True),
        (0.0004, 2_600, False),  # 2,499 are needed, there are so many, and 2,000 are looked at
    ],
)
def test_no_rule_is_chosen_by_fewer_images_than_its_share_needs(
    share: float, validation: int, has_rule: bool
) -> None:
    config = TrainConfig(unknown=share, decoders=2)
    with drawn(config, validation) as images:
        card, neighbours = served.calibrate(config, CARD, engine, images.dataset, images)
    assert (card.unknown is not None, neighbours is not None) == (has_rule, has_rule), (
        "with fewer the nearest of all would be the threshold, and nearly every image unknown"
    )
    if not has_rule:
        assert "no image is called unknown" in served.describe(config, card)


def test_the_scores_of_training_images_are_not_kept() -> None:
    """With 1,000 labels there are 10,000 of these images, and 100,000 labels would take 4 GB."""
    scores: list[weakref.ref[NDArray[np.floating]]] = []
    kept: list[int] = []

    def watched(pixels: Pixels, exclusive: bool) -> Outputs:
        kept.append(sum(each() is not None for each in scores))
        outputs = engine(pixels, exclusive)
        scores.append(weakref.ref(outputs.scores))
        return outputs

    config = TrainConfig(unknown=0.05, decoders=2)
    with drawn(config, validation=20, train=320) as images:
        card, _ = served.calibrate(config, CARD, watched, images.dataset, images)
    assert card.unknown is not None
    assert len(kept) == 11
    assert max(kept) <= 3, "of validation, and of the batch before"


def test_what_is_unknown_chooses_no_threshold_of_the_promised_error() -> None:
    config = TrainConfig(unknown=0.05, max_error=0.05, decoders=2)
    with drawn(config, validation=60) as images:
        card, _ = served.calibrate(config, CARD, engine, images.dataset, images)
    assert card.unknown is not None
    assert card.promise is not None
    assert card.unknown.unknown > 0
    assert card.promise.images == 60 - card.unknown.unknown
