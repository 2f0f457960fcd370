"""A tuning job's training jobs, as far as they have come: scores, counters, the best."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from infra.local.sagemaker.core.store import Record
from infra.local.sagemaker.tuning.request import TuningPlan

TUNED = "TunedHyperParameters"
ENDED = frozenset({"Completed", "Stopped", "Failed"})


@dataclass(frozen=True, slots=True)
class Trial:
    record: Record
    """The training job's."""
    score: float | None

    @classmethod
    def of(cls, record: Record, metric: str) -> "Trial":
        values = {each["MetricName"]: each["Value"] for each in
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

    def summary(self, plan: TuningPlan) -> Record:
        """HyperParameterTrainingJobSummary, and what it may be sorted by."""
        shown: Record = {**self.record, "ObjectiveStatus": self.objective_status}
        shown["TuningJobName"] = plan.name
        if self.score is not None:
            shown["FinalObjectiveMetricValue"] = self.score
            shown["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "Type": "Maximize" if plan.maximizes else "Minimize",
                "MetricName": plan.metric,
                "Value": self.score,
            }
        return shown


def best(plan: TuningPlan, trials: Sequence[Trial]) -> Trial | None:
    """Of those that came to their end, as in AWS; of those that were stopped where none did."""
    scored = [trial for trial in trials if trial.has_ended and trial.score is not None]
    completed = [trial for trial in scored if trial.status == "Completed"]
    sign = -1 if plan.maximizes else 1
    return min(completed or scored, key=lambda trial: sign * (trial.score or 0), default=None)


def counters(trials: Sequence[Trial]) -> Record:
    """As Describe shows them. What broke in SageMaker itself might go well another time."""
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
            each: objectives[each] for each in ("Succeeded", "Pending", "Failed")
        },
    }
