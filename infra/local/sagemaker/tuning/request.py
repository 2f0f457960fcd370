"""CreateHyperParameterTuningJob: parse and validate the request."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from infra.local.sagemaker.core.errors import ResourceLimitExceeded, ValidationException
from infra.local.sagemaker.core.store import Record
from infra.local.sagemaker.training.request import refuse_unsupported
from infra.local.sagemaker.tuning import ranges as tuning_ranges
from infra.local.sagemaker.tuning.ranges import CategoricalRange, Ranges

MAX_TRIALS = 750
"""AWS's quota per tuning job, which also bounds the memory of the search."""

NOTHING: Set[object] = frozenset()

SUPPORTED: Mapping[str, Set[object]] = {
    "TrainingJobDefinitions": NOTHING,
    "Autotune": NOTHING,
    "HyperParameterTuningJobConfig.Strategy": {"Bayesian", "Random", "Grid"},
    "HyperParameterTuningJobConfig.StrategyConfig": NOTHING,
    "HyperParameterTuningJobConfig.TuningJobCompletionCriteria.ConvergenceDetected."
    "CompleteOnConvergence": {"Disabled"},
    "TrainingJobDefinition.TuningObjective": NOTHING,
    "TrainingJobDefinition.HyperParameterRanges": NOTHING,
    "TrainingJobDefinition.HyperParameterTuningResourceConfig": NOTHING,
}

OF_A_TRAINING_JOB = (
    "RoleArn",
    "AlgorithmSpecification",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RetryStrategy",
    "Environment",
)
"""Members of the training job definition that are passed to every trial."""


@dataclass(frozen=True, slots=True)
class WarmStart:
    parents: tuple[str, ...]
    identical: bool
    """A warm start with the same data and algorithm; otherwise transfer learning."""


@dataclass(frozen=True, slots=True)
class TuningJobRequest:
    name: str
    strategy: str
    ranges: Ranges
    metric: str
    maximizes: bool
    trials: int
    parallel: int
    stops_early: bool
    max_seconds: float | None
    seed: int | None
    target: float | None
    patience: int | None
    """The number of consecutive trials without improvement after which the job ends."""
    warm_start: WarmStart | None
    definition: Record = field(hash=False)

    @classmethod
    def of(cls, job: Record) -> "TuningJobRequest":
        """Parse a request. Raises ApiError if AWS rejects it or the local SageMaker does not
        support it.
        """
        refuse_unsupported(job, SUPPORTED, "")
        if "TrainingJobDefinition" not in job:
            raise ValidationException("A TrainingJobDefinition is required.")
        try:
            return _plan(job)
        except ValueError as error:
            raise ValidationException(str(error)) from error

    def request(self, trial: str, tuned: Mapping[str, str]) -> Record:
        """The CreateTrainingJob request of a trial."""
        static = self.definition.get("StaticHyperParameters", {})
        members = {name: self.definition.get(name) for name in OF_A_TRAINING_JOB}
        return {
            "TrainingJobName": trial,
            "HyperParameters": {**static, **tuned},
            **{name: value for name, value in members.items() if value is not None},
        }

    @property
    def image(self) -> str | None:
        image: str | None = self.definition["AlgorithmSpecification"].get("TrainingImage")
        return image

    def is_better(self, one: float, other: float) -> bool:
        return one > other if self.maximizes else one < other


def _plan(job: Record) -> TuningJobRequest:
    config, definition = job["HyperParameterTuningJobConfig"], job["TrainingJobDefinition"]
    ranges = tuning_ranges.parse(config.get("ParameterRanges", {}))
    _refuse_both(ranges, definition.get("StaticHyperParameters", {}))
    objective = _objective(config, definition)
    limits = config["ResourceLimits"]
    criteria = config.get("TuningJobCompletionCriteria", {})
    return TuningJobRequest(
        name=job["HyperParameterTuningJobName"],
        strategy=config["Strategy"],
        ranges=ranges,
        metric=objective["MetricName"],
        maximizes=objective["Type"] == "Maximize",
        trials=_trials(config["Strategy"], ranges, limits),
        parallel=limits["MaxParallelTrainingJobs"],
        stops_early=config.get("TrainingJobEarlyStoppingType", "Off") == "Auto",
        max_seconds=limits.get("MaxRuntimeInSeconds"),
        seed=config.get("RandomSeed"),
        target=criteria.get("TargetObjectiveMetricValue"),
        patience=criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        ),
        warm_start=_warm_start(job.get("WarmStartConfig")),
        definition=definition,
    )


def _refuse_both(ranges: Ranges, static: Mapping[str, str]) -> None:
    both = sorted(set(ranges) & set(static))
    if both:
        raise ValueError(f"Hyperparameters cannot be both static and tunable: {', '.join(both)}.")


def _objective(config: Record, definition: Record) -> Record:
    objective: Record = config.get("HyperParameterTuningJobObjective", {})
    defined = definition["AlgorithmSpecification"].get("MetricDefinitions", [])
    if objective.get("MetricName") not in [metric["Name"] for metric in defined]:
        raise ValueError(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric "
            "in the metric definitions."
        )
    return objective


def _trials(strategy: str, ranges: Ranges, limits: Record) -> int:
    """The maximum number of trials."""
    available = tuning_ranges.combinations(ranges)
    maximum: int | None = limits.get("MaxNumberOfTrainingJobs")
    if strategy == "Grid":
        _refuse_grid(ranges, available, maximum)
        maximum = round(available)
    if maximum is None:
        if "MaxRuntimeInSeconds" not in limits:
            raise ValueError("MaxNumberOfTrainingJobs or MaxRuntimeInSeconds is required.")
        maximum = round(min(available, MAX_TRIALS))
    if maximum > MAX_TRIALS:
        raise ResourceLimitExceeded(
            "The account-level service limit 'Number of training jobs in a hyperparameter tuning "
            f"job' is {MAX_TRIALS}, with a request for {maximum}."
        )
    if available < maximum:
        raise ValueError(
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{available:.1f}] must be equal "
            f"or greater than the value of MaxNumberOfJobs, [{maximum}]. Provide additional ranges."
        )
    return maximum


def _refuse_grid(ranges: Ranges, available: float, maximum: int | None) -> None:
    if not all(isinstance(range_, CategoricalRange) for range_ in ranges.values()):
        raise ValueError("The Grid strategy takes categorical hyperparameter ranges only.")
    if maximum not in (None, available):
        raise ValueError(
            f"With the Grid strategy MaxNumberOfTrainingJobs, [{maximum}], must be the number of "
            f"combinations of the categorical hyperparameters, [{available:g}], or be left out."
        )


def _warm_start(config: Record | None) -> WarmStart | None:
    if config is None:
        return None
    parents = [parent.get("HyperParameterTuningJobName", "") for parent in
               config["ParentHyperParameterTuningJobs"]]  # fmt: skip
    if not all(parents) or len(set(parents)) < len(parents):
        raise ValueError("ParentHyperParameterTuningJobs must be named, each once.")
    return WarmStart(tuple(parents), config["WarmStartType"] == "IdenticalDataAndAlgorithm")
