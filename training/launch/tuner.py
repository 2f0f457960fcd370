"""A search as the SageMaker SDK's HyperparameterTuner asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import boto3

from training.config import metrics, search_space, trials
from training.config.ranges import Categorical, Continuous
from training.config.search_space import Space
from training.launch import job as launch

if TYPE_CHECKING:
    from sagemaker.train.tuner import HyperparameterTuner

NAME_CHARACTERS = 32
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Asked:
    job: launch.Asked
    """What the final fit is told, but for what is searched."""
    space: Space
    strategy: str
    parallel: int
    early_stopping: bool
    parents: tuple[str, ...]
    in_one_job: bool

    @property
    def trial(self) -> launch.Asked:
        """What every trial is told. Watching and compiling are for the final fit: the tuning API
        carries no Debugger configuration, and no trial is served.
        """
        told = replace(self.job.told, debug="off", profile_steps=0, compile="none")
        return replace(self.job, told=told, managed_debugger=False)

    @property
    def objective(self) -> str:
        return self.job.told.objective


def tuner(
    asked: Asked, session: boto3.Session, channels: Mapping[str, str]
) -> "HyperparameterTuner":
    from sagemaker.train.tuner import HyperparameterTuner

    class Tuner(HyperparameterTuner):  # type: ignore[misc]
        """With the trainer's isolation, which the SDK's own leaves out of the definition."""

        def _build_training_job_definition(self, inputs: Any) -> Any:
            definition = super()._build_training_job_definition(inputs)
            definition.enable_network_isolation = launch.is_isolated(asked.trial)
            return definition

    trainer = launch.trainer(asked.trial, session, channels)
    trainer.checkpoint_config = None  # the trials would share it, and refuse each other's
    return Tuner(
        trainer,
        asked.objective,
        {name: _parameter(name, each) for name, each in asked.space.items()},
        metrics.definitions(),
        strategy=asked.strategy,
        objective_type="Maximize" if trials.maximizes(asked.objective) else "Minimize",
        max_jobs=None if asked.strategy == "Grid" else asked.job.told.trials,
        max_parallel_jobs=asked.parallel,
        early_stopping_type="Auto" if asked.early_stopping else "Off",
        warm_start_config=_warm_start(asked, session, channels),
        random_seed=asked.job.told.seed or None,
    )


def _parameter(name: str, each: Continuous | Categorical) -> Any:
    """Categorical values go as they are: the SDK's JSON form would put quotes around them."""
    from sagemaker.core.parameter import (
        CategoricalParameter,
        ContinuousParameter,
        IntegerParameter,
    )

    if isinstance(each, Categorical):
        return CategoricalParameter(list(each.values))
    if search_space.is_whole(name):
        return IntegerParameter(round(each.low), round(each.high), each.scale)
    return ContinuousParameter(each.low, each.high, each.scale)


def _warm_start(asked: Asked, session: boto3.Session, channels: Mapping[str, str]) -> Any:
    """Parents on the same data and image count among the best; of others only the lesson does."""
    from sagemaker.core.shapes import (
        HyperParameterTuningJobWarmStartConfig,
        ParentHyperParameterTuningJob,
    )

    if not asked.parents:
        return None
    sagemaker = session.client("sagemaker")
    identical = True
    for parent in asked.parents:
        found: Mapping[str, Any] = sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=parent
        )["TrainingJobDefinition"]
        [data] = [each for each in found["InputDataConfig"] if each["ChannelName"] == "data"]
        identical &= data["DataSource"]["S3DataSource"]["S3Uri"] == channels["data"]
        identical &= found["AlgorithmSpecification"]["TrainingImage"] == asked.job.image
    return HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=[
            ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=each)
            for each in asked.parents
        ],
        warm_start_type="IdenticalDataAndAlgorithm" if identical else "TransferLearning",
    )


def tuning_name(prefix: str, name: str, now: float) -> str:
    """Unique to the second; a trial's name is 13 characters longer."""
    stamp, seconds = "", int(now)
    while seconds:
        seconds, digit = divmod(seconds, len(DIGITS))
        stamp = DIGITS[digit] + stamp
    left = NAME_CHARACTERS - len(prefix) - len(stamp) - 1
    return f"{prefix}{name[:left].rstrip('-')}-{stamp}"
