"""The loss and the accuracy of a batch, shared by the epoch loop and the parallel heads."""

import torch
from torch.nn.functional import cross_entropy


def is_correct(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B,): which rows of (B, labels) have their highest logit at the target."""
    return logits.argmax(1) == targets


def count_correct(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return is_correct(logits, targets).sum()


def batch_sums(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(2,) float64 on the CPU: the summed cross entropy, and the number of correct predictions."""
    loss = cross_entropy(logits, targets, reduction="sum")
    return torch.stack([loss.double(), count_correct(logits, targets).double()]).cpu()
