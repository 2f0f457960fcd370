"""Find the best hyperparameters, then fit with them: a SageMaker tuning job, or one job for all.

A range is written low:high, a choice with commas; all else holds for every trial. Trials are judged
by validation. The final fit is by images that chose nothing, with debugger and profiler on.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import boto3
from rich.console import Console

from domain.foreign import visible
from training.config import metrics, search_space, train_config, trials
from training.config.errors import TrainingFailed
from training.config.hyperparameter import Categorical, Continuous
from training.config.search_space import Space, Values
from training.config.train_config import TrainConfig
from training.config.trials import Trial
from training.launch import job as launch
from training.launch import tune_watch
from training.launch.tune_watch import OneJob, TuningJob
from training.reports import trials_page

if TYPE_CHECKING:
    from sagemaker.train.tuner import HyperparameterTuner

STRATEGIES = ("Bayesian", "Random", "Grid")
PARALLEL = 2
NOTHING = "no trial came to anything."
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


def asked(
    job: launch.Asked,
    words: Mapping[str, str],
    strategy: str = STRATEGIES[0],
    parallel: int = PARALLEL,
    early_stopping: bool = True,
    warm_start: tuple[str, ...] = (),
    in_one_job: bool = False,
) -> Asked:
    """`words`: hyperparameters by name, as text, ranges among them; `job` says all but these.

    Raises TrainingFailed for what cannot be searched.
    """
    told = search_space.told(words)
    usual = {n: each for n, each in train_config.search_space().items() if n not in told.fixed}
    space = dict(sorted((usual | told.space).items(), key=lambda each: _is_choice(each[1])))
    if not space:
        raise TrainingFailed("Nothing is left to search: give a range, such as lr=0.001:0.1.")
    fixed = launch.asked(
        job.stage, job.image, job.source, told.fixed | {"tuned": "yes"}, job.instance_type,
        job.spot, job.managed_debugger,
    )  # fmt: skip
    if in_one_job:
        search_space.check_one_job(_within_one(fixed, space).told)
    return Asked(fixed, space, strategy, parallel, early_stopping, warm_start, in_one_job)


def _is_choice(each: Continuous | Categorical) -> bool:
    return isinstance(each, Categorical)


def _within_one(job: launch.Asked, space: Space) -> launch.Asked:
    return replace(job, told=replace(job.told, search=search_space.written(space)))


def searched(
    asked: Asked, session: boto3.Session, channels: Mapping[str, str], console: Console
) -> Values:
    """The best. Raises TrainingFailed where nothing was found."""
    road = _one_job if asked.in_one_job else _tuning_job
    name, seen, reason = road(asked, session, channels, console)
    folder = launch.REPORTS / name
    console.print(tune_watch.table(seen, asked.job.told, asked.space))
    space = search_space.written(asked.space)
    trials.write(folder, asked.objective, space, seen)
    (folder / trials_page.FILE).write_text(trials_page.html(name, asked.objective, space, seen))
    console.print(visible(f"trials: {folder / trials_page.FILE}"), markup=False, soft_wrap=True)
    best = trials.best(seen, asked.objective)
    if best is None or reason:
        failures = [f"The first: {trial.failure}" for trial in seen if trial.failure][:1]
        raise TrainingFailed(" ".join([f"{name}: {reason or NOTHING}", *failures]))
    return {each: best.values[each] for each in asked.space}


def _one_job(
    asked: Asked, session: boto3.Session, channels: Mapping[str, str], console: Console
) -> tuple[str, list[Trial], str]:
    wanted = _within_one(asked.trial, asked.space)
    job = launch.started(wanted, session, channels)
    console.print(visible(f"job: {job}"), markup=False)
    places = search_space.spread(asked.space, wanted.told.trials, wanted.told.seed)
    folder = launch.REPORTS / job
    seen = OneJob(session.client("sagemaker"), session.client("logs"), job, places, folder)
    end = tune_watch.watched(seen, asked.job.told, asked.space, console)
    launch.reports(session.client("s3"), asked.job.stage.bucket, job)
    kept = folder / trials.FILE
    return job, trials.read(kept) if kept.exists() else end.trials, end.reason


def _tuning_job(
    asked: Asked, session: boto3.Session, channels: Mapping[str, str], console: Console
) -> tuple[str, list[Trial], str]:
    from sagemaker.core.training.configs import InputData  # seconds, and only needed from here on

    name = tuning_name(asked.job.stage.prefix, asked.job.told.name, time.time())
    inputs = [InputData(channel_name=each, data_source=uri) for each, uri in channels.items()]
    tuner(asked, session, channels).tune(inputs, job_name=name, wait=False)
    console.print(visible(f"tuning job: {name}"), markup=False)
    folder = launch.REPORTS / name
    seen = TuningJob(session.client("sagemaker"), session.client("logs"), name, folder)
    end = tune_watch.watched(seen, asked.job.told, asked.space, console)
    for trial in end.trials:
        launch.reports(session.client("s3"), asked.job.stage.bucket, trial.name, folder)
    return name, end.trials, end.reason


def run(asked: Asked, console: Console) -> bool:
    """Search, then fit with the best values; whether the final fit completed.

    Raises TrainingFailed, and StillRunning where the person stops watching.
    """
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")  # the stack's own role needs none
    session = boto3.Session()
    channels = launch.channels(asked.job, session, console)
    try:
        best = searched(asked, session, channels, console)
    except KeyboardInterrupt:
        raise launch.StillRunning(
            "Stopped watching; the search still runs. To end it: `aws sagemaker "
            "stop-hyper-parameter-tuning-job`, or stop-training-job for a search in one job."
        ) from None
    found = " ".join(f"{name}={text}" for name, text in best.items())
    console.print(visible(f"best: {found}"), markup=False)
    for warning in search_space.at_edges(asked.space, best):
        console.print(visible(warning), style="yellow", markup=False)
    told = TrainConfig.from_strings(asked.job.told.to_strings() | dict(best))
    wanted = replace(asked.job, told=told)
    job = launch.started(wanted, session, channels)
    console.print(visible(f"final fit: {job}"), markup=False)
    return launch.follow(wanted, job, session, console)


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
