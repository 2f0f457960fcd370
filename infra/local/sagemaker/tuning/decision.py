"""Decide a tuning job's next step from its trials alone, so that a restarted server decides the
same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from infra.local.sagemaker.tuning.request import TuningJobRequest
from infra.local.sagemaker.tuning.trials import TuningTrial

MAX_FAILED_TRIALS = 5
"""The number of failed trials after which AWS ends a job without a successful trial."""

NONE_SUCCEEDED = (
    f"No training job succeeded after {MAX_FAILED_TRIALS} attempts. For additional details, please "
    "take a look at the training job failures by listing training jobs for the "
    "hyperparameter tuning job."
)
ALL_FAILED = (
    "All training jobs failed. Please take a look at the training jobs failures to get more "
    "details."
)


@dataclass(frozen=True, slots=True)
class StartTrials:
    count: int


@dataclass(frozen=True, slots=True)
class EndTuning:
    """End the job: running trials are stopped, and the job ends after the last of them."""

    status: str
    reason: str | None = None


def decide(
    request: TuningJobRequest, trials: Sequence[TuningTrial], stopping: bool, in_time: bool
) -> StartTrials | EndTuning:
    if stopping or not in_time:
        return EndTuning("Stopped")
    ended = [trial for trial in trials if trial.has_ended]
    scores = [trial.score for trial in ended if trial.score is not None]
    if not scores and len(ended) >= min(MAX_FAILED_TRIALS, request.trials):
        return EndTuning("Failed", NONE_SUCCEEDED if len(ended) < request.trials else ALL_FAILED)
    if (
        len(ended) >= request.trials
        or _is_good_enough(request, scores)
        or _is_stale(request, scores)
    ):
        return EndTuning("Completed")
    running = len(trials) - len(ended)
    return StartTrials(max(0, min(request.parallel - running, request.trials - len(trials))))


def _is_good_enough(request: TuningJobRequest, scores: Sequence[float]) -> bool:
    target = request.target
    return target is not None and any(
        score == target or request.is_better(score, target) for score in scores
    )


def _is_stale(request: TuningJobRequest, scores: Sequence[float]) -> bool:
    """Whether the last trials brought no improvement. `scores` are in the order in which the trials
    began.
    """
    if request.patience is None or len(scores) <= request.patience:
        return False
    best = max(scores) if request.maximizes else min(scores)
    return len(scores) - 1 - scores.index(best) >= request.patience


def is_hopeless(
    request: TuningJobRequest, series: Sequence[float], completed: Sequence[Sequence[float]]
) -> bool:
    """Whether a trial can be stopped early, by AWS's rule: its metric is worse than the median of
    the running averages of the `completed` trials up to the same epoch.

    https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html
    """
    epoch = len(series)
    if not epoch:
        return False
    averages = [fmean(other[:epoch]) for other in completed if len(other) >= epoch]
    return bool(averages) and request.is_better(median(averages), series[-1])
