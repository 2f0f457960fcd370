"""Shows of mistakes what in the picture spoke for the wrong label."""

from collections.abc import Mapping

import numpy as np
from torch import nn

from serving import preprocess
from serving.preprocess import Pixels
from training.data.loader import Images
from training.evaluation.accuracy import Evaluation
from training.evaluation.class_maps import NoClassMapError, class_maps, draw

MISTAKES = 24
"""Of a report: a second of a network on a CPU."""


def explain_mistakes(
    network: nn.Module, evaluation: Evaluation, images: Images
) -> Mapping[int, Pixels]:
    """By the row of each of the worst mistakes, the crop that the network saw, drawn. None of them
    for a network without class maps.
    """
    examples = images.dataset.splits[images.dataset.test_split]
    drawn: dict[int, Pixels] = {}
    for row in evaluation.worst_mistakes(MISTAKES).tolist():
        pixels = images.load(examples[row])
        inputs = preprocess.normalise(pixels[None], images.preprocessing)  # (1, 3, H, W)
        try:
            (heat,) = class_maps(network, inputs, np.array([evaluation.predicted[row]]))
        except NoClassMapError:
            return {}
        drawn[row] = draw(pixels, heat)
    return drawn
