"""What an archive brings for serving on a CPU beside the weights, judged on images of the job."""

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from random import Random

import numpy as np

from domain.model import ModelCard, Verdict
from serving.preprocess import Pixels
from training.config.train_config import TrainConfig
from training.data.dataset import Dataset, Example
from training.data.loader import Images
from training.model import package
from training.model.mcnemar import Paired
from training.model.package import Files

AT_ONCE = 32


def compiled(
    told: TrainConfig, card: ModelCard, weights: bytes, dataset: Dataset, images: Images
) -> tuple[ModelCard, Files]:
    """The card that says what is served in which precision, and why; and the files it names.

    Training images calibrate, and what nothing was learnt from judges. The accuracy on the card
    stays that of fp32, which was measured before this choice was made.
    """
    if told.compile == "none" or not find_spec("openvino"):
        return card, package.NONE
    from training.model import quantise  # seconds

    if told.compile == "fp32":
        return quantise.exact(card, weights)
    chance = Random(told.seed)
    held_out = [each for name in dataset.splits if name != "train" for each in dataset.splits[name]]
    judges = _some(held_out, quantise.JUDGED, chance)
    photos = quantise.Photos(_pixels(images, judges), np.array([each.label for each in judges]))
    teachers = _some(dataset.splits["train"], quantise.CALIBRATION, chance)
    return quantise.compiled(card, weights, _pixels(images, teachers), photos)


def told_in_words(card: ModelCard) -> str:
    if card.openvino is None:
        return "serves by PyTorch"
    found = "; ".join(map(_verdict_in_words, card.openvino.verdicts))
    return f"serves on a CPU in {card.openvino.precision}" + (f" ({found})" if found else "")


def _verdict_in_words(each: Verdict) -> str:
    from training.model.quantise import (
        FEWEST,  # seconds, and it has been imported where there is one
    )

    if each.photos < FEWEST:
        return f"{each.precision} not judged: {each.photos} photos, of {FEWEST} that are needed"
    most = Paired(each.wins, each.losses).most_lost(each.photos)
    return (
        f"{each.precision} {each.outcome} on {each.photos} photos: {each.losses} lost, "
        f"{each.wins} won, at most {100 * most:.1f} points of accuracy lost (95 % one-sided), "
        f"{each.agreed} of {each.confident} sure ones alike"
    )


def _some(examples: Sequence[Example], most: int, chance: Random) -> list[Example]:
    """In their own order, or as many of them as are enough, drawn by chance."""
    return list(examples) if len(examples) <= most else chance.sample(list(examples), most)


def _pixels(images: Images, examples: Sequence[Example]) -> Pixels:
    loads = [partial(images.plain, each) for each in examples]
    return np.concatenate(
        list(images.pixels(loads[at : at + AT_ONCE] for at in range(0, len(loads), AT_ONCE)))
    )
