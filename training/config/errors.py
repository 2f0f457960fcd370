"""Errors that end a job, as a sentence for the person who started it.

Standard library only: the command line parses hyperparameters and must not import torch.
"""

import errno

from domain.errors import SortboxError

MAX_CHARACTERS = 1024
"""SageMaker shows this many characters of /opt/ml/output/failure as FailureReason."""


FAILURE_LINE = "failed: "
"""What the last line of a failed job's log begins with; its FailureReason says the same."""


class TrainingFailed(SortboxError):
    """Training cannot continue; the sentence says why and what to do."""


class Interrupted(SortboxError):
    """SIGTERM: the job must stop; the same job resumes from its checkpoint."""


def failure_reason(error: Exception) -> str:
    """FailureReason: what happened, why, and what to change."""
    match error:
        case TrainingFailed():
            text = str(error)
        case Exception() if type(error).__name__ == "OutOfMemoryError":  # torch's
            text = "The GPU's memory is full. Lower batch-size or image-size."
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            where = f" while writing {error.filename}" if error.filename else ""
            text = f"The disk is full{where}. Give the job a larger volume (VolumeSizeInGB)."
        case _:
            text = (
                f"Training failed because of a defect in Sortbox: {type(error).__name__}: {error}"
            )
    return text[:MAX_CHARACTERS]
