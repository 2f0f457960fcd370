"""What is known of tuning jobs: their own records, and those of the training jobs they started."""

from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.resources import TRAINING_JOB, TUNING_JOB
from infra.local.sagemaker.core.store import Record, Store
from infra.local.sagemaker.tuning import trials as tuning_trials
from infra.local.sagemaker.tuning.request import TuningPlan
from infra.local.sagemaker.tuning.search import Tried
from infra.local.sagemaker.tuning.trials import TUNED, Trial

RUNNING = frozenset({"InProgress", "Stopping"})


class TuningRecords:
    def __init__(self, store: Store) -> None:
        self._store = store

    def trials(self, job: Record) -> list[Trial]:
        """In the order in which they began. Every training job is looked at: some thousands."""
        plan = TuningPlan.of(job)
        own = [
            record
            for record in self._store.all(TRAINING_JOB)
            if record.get("TuningJobArn") == job["HyperParameterTuningJobArn"]
        ]
        own.sort(key=lambda record: str(record["TrainingJobName"]))
        return [Trial.of(record, plan.metric) for record in own]

    def before(self, plan: TuningPlan) -> list[Tried]:
        """What the parents of a warm start found; not what their own parents had found."""
        return [
            Tried(trial.record[TUNED], trial.score)
            for parent in (plan.warm_start.parents if plan.warm_start else ())
            for trial in self._trials_of(parent)
        ]

    def shown(self, job: Record) -> Record:
        """As Describe and List have it."""
        plan, trials = TuningPlan.of(job), self.trials(job)
        spent = sum(trial.record.get("TrainingTimeInSeconds", 0) for trial in trials)
        best = tuning_trials.best(plan, trials)
        config = job["HyperParameterTuningJobConfig"]
        return {
            **job,
            **tuning_trials.counters(trials),
            "Strategy": config["Strategy"],
            "ResourceLimits": config["ResourceLimits"],
            "ConsumedResources": {"RuntimeInSeconds": spent},
            "BestTrainingJob": best.summary(plan) if best else None,
            "OverallBestTrainingJob": self._overall_best(plan, trials),
        }

    def refuse_parents(self, plan: TuningPlan) -> None:
        """Raises ApiError where a warm start cannot begin from one of them."""
        for parent in plan.warm_start.parents if plan.warm_start else ():
            job = self._store.get(TUNING_JOB, parent)
            if job["HyperParameterTuningJobStatus"] in RUNNING:
                raise ValidationException(
                    f"The parent hyperparameter tuning job {parent} must be in a terminal state."
                )
            _refuse_unlike(plan, TuningPlan.of(job))

    def _trials_of(self, name: str) -> list[Trial]:
        return self.trials(self._store.get(TUNING_JOB, name))

    def _overall_best(self, plan: TuningPlan, trials: list[Trial]) -> Record | None:
        """Where data and algorithm are the same: scores on other data compare with nothing."""
        if plan.warm_start is None or not plan.warm_start.identical:
            return None
        parents = [each for name in plan.warm_start.parents for each in self._trials_of(name)]
        best = tuning_trials.best(plan, [*parents, *trials])
        return best.summary(plan) if best else None


def _refuse_unlike(plan: TuningPlan, parent: TuningPlan) -> None:
    if (parent.metric, parent.maximizes) != (plan.metric, plan.maximizes):
        raise ValidationException(
            f"The objective metric must be that of the parent hyperparameter tuning job "
            f"{parent.name}, {parent.metric}."
        )
    if plan.warm_start and plan.warm_start.identical and parent.image != plan.image:
        raise ValidationException(
            "With IdenticalDataAndAlgorithm the training image must be that of the parent "
            f"hyperparameter tuning job {parent.name}, {parent.image}."
        )
