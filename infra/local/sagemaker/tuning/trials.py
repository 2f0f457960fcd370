"""Trials: the training jobs of a tuning job, with their scores, counters and the best."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.resources import TRAINING_JOB, TUNING_JOB
from infra.local.sagemaker.core.store import Record, Store
from infra.local.sagemaker.tuning.request import TuningJobRequest
from infra.local.sagemaker.tuning.search import ScoredValues

TUNED = "TunedHyperParameters"
ENDED = frozenset({"Completed", "Stopped", "Failed"})


@dataclass(frozen=True, slots=True)
class TuningTrial:
    record: Record
    """The training job's record."""
    score: float | None

    @classmethod
    def of(cls, record: Record, metric: str) -> "TuningTrial":
        values = {metric_data["MetricName"]: metric_data["Value"] for metric_data in
                  record.get("FinalMetricDataList", [])}  # fmt: skip
        failed = record["TrainingJobStatus"] == "Failed"
        return cls(record, None if failed else values.get(metric))

    @property
    def name(self) -> str:
        return str(self.record["TrainingJobName"])

    @property
    def status(self) -> str:
        return str(self.record["TrainingJobStatus"])

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def objective_status(self) -> str:
        if not self.has_ended:
            return "Pending"
        return "Failed" if self.score is None else "Succeeded"

    def summary(self, request: TuningJobRequest) -> Record:
        """A HyperParameterTrainingJobSummary, with the members that it can be sorted by."""
        shown: Record = {**self.record, "ObjectiveStatus": self.objective_status}
        shown["TuningJobName"] = request.name
        if self.score is not None:
            shown["FinalObjectiveMetricValue"] = self.score
            shown["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "Type": "Maximize" if request.maximizes else "Minimize",
                "MetricName": request.metric,
                "Value": self.score,
            }
        return shown


def best_trial(request: TuningJobRequest, trials: Sequence[TuningTrial]) -> TuningTrial | None:
    """The best completed trial, as in AWS; the best stopped one if none has completed."""
    scored = [trial for trial in trials if trial.has_ended and trial.score is not None]
    completed = [trial for trial in scored if trial.status == "Completed"]
    sign = -1 if request.maximizes else 1
    return min(completed or scored, key=lambda trial: sign * (trial.score or 0), default=None)


def counters(trials: Sequence[TuningTrial]) -> Record:
    """The counters of Describe. Internal errors of SageMaker count as retryable."""
    states = Counter(trial.status for trial in trials)
    objectives = Counter(trial.objective_status for trial in trials)
    failed = [trial.record.get("FailureReason", "") for trial in trials if trial.status == "Failed"]
    retryable = sum(reason.startswith("InternalServerError") for reason in failed)
    return {
        "TrainingJobStatusCounters": {
            "Completed": states["Completed"],
            "InProgress": states["InProgress"] + states["Stopping"],
            "RetryableError": retryable,
            "NonRetryableError": len(failed) - retryable,
            "Stopped": states["Stopped"],
        },
        "ObjectiveStatusCounters": {
            status: objectives[status] for status in ("Succeeded", "Pending", "Failed")
        },
    }


RUNNING = frozenset({"InProgress", "Stopping"})


class TuningRecords:
    def __init__(self, store: Store) -> None:
        self._store = store

    def trials(self, job: Record) -> list[TuningTrial]:
        """The trials in the order in which they began. It reads every training job's record, some
        thousands.
        """
        request = TuningJobRequest.of(job)
        own = [
            record
            for record in self._store.all(TRAINING_JOB)
            if record.get("TuningJobArn") == job["HyperParameterTuningJobArn"]
        ]
        own.sort(key=lambda record: str(record["TrainingJobName"]))
        return [TuningTrial.of(record, request.metric) for record in own]

    def parent_trials(self, request: TuningJobRequest) -> list[ScoredValues]:
        """The values and scores of a warm start's parents, without those of their own parents."""
        return [
            ScoredValues(trial.record[TUNED], trial.score)
            for parent in (request.warm_start.parents if request.warm_start else ())
            for trial in self._trials_of(parent)
        ]

    def describe(self, job: Record) -> Record:
        """The record as Describe and List return it."""
        request, trials = TuningJobRequest.of(job), self.trials(job)
        spent = sum(trial.record.get("TrainingTimeInSeconds", 0) for trial in trials)
        leader = best_trial(request, trials)
        config = job["HyperParameterTuningJobConfig"]
        return {
            **job,
            **counters(trials),
            "Strategy": config["Strategy"],
            "ResourceLimits": config["ResourceLimits"],
            "ConsumedResources": {"RuntimeInSeconds": spent},
            "BestTrainingJob": leader.summary(request) if leader else None,
            "OverallBestTrainingJob": self._overall_best(request, trials),
        }

    def check_parents(self, request: TuningJobRequest) -> None:
        """Raises ApiError if one of the parents cannot be used for a warm start."""
        for parent in request.warm_start.parents if request.warm_start else ():
            job = self._store.get(TUNING_JOB, parent)
            if job["HyperParameterTuningJobStatus"] in RUNNING:
                raise ValidationException(
                    f"The parent hyperparameter tuning job {parent} must be in a terminal state."
                )
            _refuse_unlike(request, TuningJobRequest.of(job))

    def _trials_of(self, name: str) -> list[TuningTrial]:
        return self.trials(self._store.get(TUNING_JOB, name))

    def _overall_best(self, request: TuningJobRequest, trials: list[TuningTrial]) -> Record | None:
        """The best trial including the parents' ones, if data and algorithm are the same: otherwise
        scores are not comparable.
        """
        if request.warm_start is None or not request.warm_start.identical:
            return None
        parents = [trial for name in request.warm_start.parents for trial in self._trials_of(name)]
        leader = best_trial(request, [*parents, *trials])
        return leader.summary(request) if leader else None


def _refuse_unlike(request: TuningJobRequest, parent: TuningJobRequest) -> None:
    if (parent.metric, parent.maximizes) != (request.metric, request.maximizes):
        raise ValidationException(
            f"The objective metric must be that of the parent hyperparameter tuning job "
            f"{parent.name}, {parent.metric}."
        )
    if request.warm_start and request.warm_start.identical and parent.image != request.image:
        raise ValidationException(
            "With IdenticalDataAndAlgorithm the training image must be that of the parent "
            f"hyperparameter tuning job {parent.name}, {parent.image}."
        )
