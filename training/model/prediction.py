"""What is predicted, from probabilities or logits: shared by every evaluation of a model.

Without torch, because the confined process that evaluates an untrusted archive may do without it.
"""

import numpy as np
from numpy.typing import NDArray


def labels_and_scores(
    scores: NDArray[np.floating],
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """The best label and its score for each row of (B, labels); the first of equal scores."""
    best = scores.argmax(1)
    return best, scores[np.arange(len(scores)), best]


def to_rows(scores: NDArray[np.floating], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """(B, 4): true label, predicted label, probability of the predicted and of the true label."""
    predicted, confidence = labels_and_scores(scores)
    own = scores[np.arange(len(truth)), truth]
    return np.stack([truth, predicted, confidence, own], 1).astype(np.float64)
