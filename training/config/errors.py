"""What ends a job, in a sentence for the person who started it.

Standard library only: the command line reads hyperparameters, and would wait seconds for torch.
"""

import errno

from domain.errors import SortboxError

LONGEST = 1024
"""SageMaker shows this many characters of /opt/ml/output/failure as FailureReason."""


class TrainingFailed(SortboxError):
    """Training cannot go on, and the sentence says why and what to do."""


class Interrupted(SortboxError):
    """SIGTERM: the job is asked to go away, and may be started again."""


def sentence(error: Exception) -> str:
    """FailureReason: whatever went wrong, told so that the next job can do better."""
    match error:
        case TrainingFailed():
            text = str(error)
        case Exception() if type(error).__name__ == "OutOfMemoryError":  # torch's
            text = "The GPU's memory is full. Lower batch-size or image-size."
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            where = f" while writing {error.filename}" if error.filename else ""
            text = f"The disk is full{where}. Give the job a larger volume (VolumeSizeInGB)."
        case _:
            text = f"Training broke by a defect of its own: {type(error).__name__}: {error}"
    return text[:LONGEST]
