"""What a tuning job does next: a function of its trials, so that a restart decides the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from infra.local.sagemaker.tuning.request import TuningPlan
from infra.local.sagemaker.tuning.trials import Trial

GIVES_UP = 5
"""Trials that came to nothing, when none has come to anything: AWS gives up then."""

NONE_SUCCEEDED = (
    f"No training job succeeded after {GIVES_UP} attempts. For additional details, please take a "
    "look at the training job failures by listing training jobs for the hyperparameter tuning job."
)
ALL_FAILED = (
    "All training jobs failed. Please take a look at the training jobs failures to get more "
    "details."
)


@dataclass(frozen=True, slots=True)
class Start:
    count: int


@dataclass(frozen=True, slots=True)
class End:
    """Once no trial runs any more; those that do are stopped."""

    status: str
    reason: str | None = None


def decide(plan: TuningPlan, trials: Sequence[Trial], stopping: bool, in_time: bool) -> Start | End:
    if stopping or not in_time:
        return End("Stopped")
    ended = [trial for trial in trials if trial.has_ended]
    scores = [trial.score for trial in ended if trial.score is not None]
    if not scores and len(ended) >= min(GIVES_UP, plan.trials):
        return End("Failed", NONE_SUCCEEDED if len(ended) < plan.trials else ALL_FAILED)
    if len(ended) >= plan.trials or _is_good_enough(plan, scores) or _is_stale(plan, scores):
        return End("Completed")
    running = len(trials) - len(ended)
    return Start(max(0, min(plan.parallel - running, plan.trials - len(trials))))


def _is_good_enough(plan: TuningPlan, scores: Sequence[float]) -> bool:
    target = plan.target
    return target is not None and any(
        score == target or plan.is_better(score, target) for score in scores
    )


def _is_stale(plan: TuningPlan, scores: Sequence[float]) -> bool:
    """`scores`: in the order in which the trials began."""
    if plan.patience is None or len(scores) <= plan.patience:
        return False
    best = max(scores) if plan.maximizes else min(scores)
    return len(scores) - 1 - scores.index(best) >= plan.patience


def is_hopeless(
    plan: TuningPlan, series: Sequence[float], before: Sequence[Sequence[float]]
) -> bool:
    """AWS's rule for stopping a trial early: worse than the median of the running averages that
    the trials `before` it had up to the same epoch.

    https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html
    """
    epoch = len(series)
    if not epoch:
        return False
    averages = [fmean(each[:epoch]) for each in before if len(each) >= epoch]
    return bool(averages) and plan.is_better(median(averages), series[-1])
