"""Find the best hyperparameters, then fit with them: a SageMaker tuning job, or one job for all.

A range is written low:high, a choice with commas; other values hold for every trial. Trials are
evaluated on validation; the final fit on the test split, with debugger and profiler.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from rich.console import Console

from aws.errors import is_limit, is_throttled
from domain.foreign import visible
from domain.instance import PARALLEL_TRIALS
from infra import interrupt, job_reports
from infra.diagnostics.cost import Prices
from infra.diagnostics.most_cost import MostCost
from infra.quotas import explain_failure
from training.config import metrics, search_space, train_config, trials
from training.config.errors import TrainingFailed
from training.config.hyperparameter import Categorical, Continuous
from training.config.search_space import Space, Values
from training.config.train_config import AUTO, TrainConfig
from training.config.trials import Trial
from training.launch import job as launch
from training.launch.input_channels import Channels
from training.launch.limits import Limit, of_search
from training.launch.live_jobs import LIVE_STATES, Kind, jobs_of, search_status, start_next
from training.launch.watching import tune_watch
from training.launch.watching.patience import Patience
from training.launch.watching.tune_watch import InProcessSearch, Search, TuningJob
from training.launch.watching.watch import goes_on, still_running
from training.reports import trials_page

if TYPE_CHECKING:
    from sagemaker.train.tuner import HyperparameterTuner
    from types_boto3_sagemaker import SageMakerClient

STRATEGIES = ("Bayesian", "Random", "Grid")
CREATE = "CreateTrainingJob"
ALL_FAILED = "all trials failed."
NAME_CHARACTERS = 32
SEARCH_CHARACTERS = 6
NUMBER_CHARACTERS = 4
"""Of `-1` to `-999`, which number the searches of the same values."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class SearchOptions:
    strategy: str = STRATEGIES[0]
    parallel: int = PARALLEL_TRIALS
    early_stopping: bool = True
    parents: tuple[str, ...] = ()
    """Tuning jobs for a warm start."""
    in_one_job: bool = False


@dataclass(frozen=True, slots=True)
class TuningRequest:
    job: launch.JobRequest
    """The final fit, without the searched values."""
    space: Space
    options: SearchOptions

    @property
    def trial(self) -> launch.JobRequest:
        """A trial. Debugger, profiler, compilation and the check of the data are for the final
        fit: the tuning API has no Debugger configuration, and no trial is served.
        """
        config = replace(
            self.job.config, debug="off", profile_steps=0, compile="none", check_data="off"
        )
        return replace(self.job, config=config, managed_debugger=False)

    @property
    def objective(self) -> str:
        return self.job.config.objective


def tuning_request(
    job: launch.JobRequest, hyperparameters: Mapping[str, str], options: SearchOptions
) -> TuningRequest:
    """`hyperparameters`: text by name, including ranges; `job` has everything else.

    Raises TrainingFailed for a space that cannot be searched.
    """
    split = search_space.split_ranges(hyperparameters)
    space = {
        name: dimension
        for name, dimension in train_config.search_space().items()
        if name not in split.fixed
    } | split.space
    space = dict(sorted(space.items(), key=lambda item: isinstance(item[1], Categorical)))
    continuous = [name for name in space if isinstance(space[name], Continuous)]
    if options.strategy == "Grid" and continuous:
        raise TrainingFailed(
            f"A Grid tries choices, and {continuous[0]} is a range: write its values as A,B,C."
        )
    if not space:
        raise TrainingFailed("There is nothing to search: pass a range, such as --lr 0.001:0.1.")
    strings = split.fixed | {"tuned": "yes"}
    named = launch.job_request(job.stage, job.image, job.source, strings)
    fixed = replace(job, config=named.config, weights=named.weights)
    if fixed.config.arch == AUTO:
        raise TrainingFailed(
            f"--arch {AUTO} searches heads for each network by itself: use it with train, or name "
            "a network for the search."
        )
    if options.in_one_job:
        search_space.check_in_process(_with_search(fixed, space).config)
    return TuningRequest(fixed, space, options)


def limit(request: TuningRequest, prices: Prices) -> MostCost:
    """What the search and the final fit take at most, for the person who starts them."""
    job, options = request.job, request.options
    of_a_job = Limit(job.max_hours, job.instance_type, job.spot)
    most = of_search(of_a_job, _most_trials(request), options.parallel, options.in_one_job)
    warning = " A trial that is interrupted starts again, and both are billed: trials keep no "
    is_warned = job.spot and not options.in_one_job
    cost = most.most_cost(prices)
    return replace(cost, sentence=f"{cost.sentence}{warning}checkpoints.") if is_warned else cost


def _most_trials(request: TuningRequest) -> int:
    if request.options.strategy != "Grid":
        return request.job.config.trials
    return prod(
        len(dimension.values)
        for dimension in request.space.values()
        if isinstance(dimension, Categorical)
    )


def _with_search(job: launch.JobRequest, space: Space) -> launch.JobRequest:
    return replace(job, config=replace(job.config, search=search_space.format_space(space)))


def search(request: TuningRequest, name: str, session: boto3.Session, console: Console) -> Values:
    """Watches a search that was started; the best values. Raises TrainingFailed if no trial
    succeeded, and StillRunning where the watching ends before the search.
    """
    source, stage = shlex.quote(request.job.source), request.job.stage
    attach = f"./sortbox tune {source} --stage {stage.name} … --attach {name}"
    final_fit = "Its final fit is started by a command that watches it."
    with still_running(f"{goes_on(name, stage, attach)} {final_fit}"):
        all_trials, reason = _watch_trials(request, name, session, console)
    interrupt.leaves("job", f"{name} has ended; the same command starts its final fit.")
    folder = job_reports.REPORTS / name
    console.print(tune_watch.table(all_trials, request.job.config, request.space))
    space = search_space.format_space(request.space)
    comparison = _comparison(request, folder / trials.FILE)
    trials.write(folder, request.objective, space, all_trials, comparison)
    (folder / trials_page.FILE).write_text(
        trials_page.html(name, request.objective, space, all_trials)
    )
    console.print(visible(f"trials: {folder / trials_page.FILE}"), markup=False, soft_wrap=True)
    best = trials.best(all_trials, request.objective)
    if best is None or reason:
        failures = [f"The first: {trial.failure}" for trial in all_trials if trial.failure][:1]
        sentence = " ".join([f"{name}: {reason or ALL_FAILED}", *failures])
        raise TrainingFailed(explain_failure(sentence, request.job.instance_type))
    console.print(visible(comparison), markup=False, highlight=False, soft_wrap=True)
    return {name: best.values[name] for name in request.space}


def _comparison(request: TuningRequest, kept: Path) -> str:
    """How the best values compare with the default ones: known where all trials are in one job."""
    if request.options.in_one_job and kept.exists():
        return trials.read_comparison(kept)
    values = trials.default_values(request.job.config, request.space)
    return f"The default, {values}, was not tried: whether the best values beat it is not known."


def find_or_start_search(
    request: TuningRequest, session: boto3.Session, channels: Channels, console: Console
) -> str:
    """The name of the search, or of the one job of all trials: one that runs or has completed, so
    that only its final fit is missing; else a new one.
    """
    watch, in_one_job = launch.watch_of(request.job, session, console), request.options.in_one_job
    search_job = _with_search(request.trial, request.space)
    stem = launch.stem(search_job, channels) if in_one_job else search_stem(request, channels)
    kind: Kind = "training job" if in_one_job else "search"
    searches = watch.patience.call(lambda: jobs_of(watch.sagemaker, kind, stem))
    for search in searches[-1:]:
        if search.status == "InProgress":
            watch.say(f"{search.name} does this already: it is watched, and no other is started.")
            return search.name
        if search.status == "Completed":
            another = f"--seed {request.job.config.seed + 1} searches again"
            watch.say(f"{search.name} has searched this; its final fit follows. {another}.")
            return search.name
    if in_one_job:
        return launch.find_or_start(search_job, session, channels, console)
    launch.room_of(request.job).check(channels.size)
    return start_next(
        stem, searches, lambda name: _start_search(request, session, channels, name), watch.say
    )


def _start_search(
    request: TuningRequest, session: boto3.Session, channels: Channels, name: str
) -> None:
    from sagemaker.core.training.configs import InputData  # seconds, and only needed from here on

    inputs = [
        InputData(channel_name=channel, data_source=uri) for channel, uri in channels.uris.items()
    ]
    tuner(request, session, channels).tune(inputs, job_name=name, wait=False)


def _watch_trials(
    request: TuningRequest, name: str, session: boto3.Session, console: Console
) -> tuple[list[Trial], str]:
    """All trials, and why the search did not complete."""
    watch, folder = launch.watch_of(request.job, session, console), job_reports.REPORTS / name
    s3, bucket = session.client("s3"), request.job.stage.bucket
    in_one_job = request.options.in_one_job
    config = request.job.config
    watched: Search = TuningJob(watch, name, folder)
    if in_one_job:
        points = search_space.spread_points(request.space, config.trials, config.seed)
        watched = InProcessSearch(watch, name, points, folder)
    end = tune_watch.watch_search(watched, config, request.space, watch)
    jobs = [name] if in_one_job else [trial.name for trial in end.trials]
    for job in jobs:
        below = job_reports.REPORTS if in_one_job else folder
        try:
            watch.patience.call(partial(job_reports.fetch, s3, bucket, job, below))
        except TrainingFailed as error:  # which the final fit does not wait for
            watch.say(str(error))
    kept = folder / trials.FILE
    return (trials.read(kept) if in_one_job and kept.exists() else end.trials), end.reason


def run(request: TuningRequest, console: Console, attach: str = "") -> bool:
    """Search, then fit with the best values; whether the final fit completed.

    With `attach`, watch that search in place of starting one. Raises TrainingFailed, and
    StillRunning where the watching ends before the search or the final fit.
    """
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")  # the stack's own role needs none
    session = boto3.Session()
    interrupt.leaves("job", launch.NOT_STARTED)
    launch.check(request.job, session)
    _check_searches(session.client("sagemaker"), request.options, attach)
    channels = launch.prepare_channels(request.job, session, console)
    name = attach or find_or_start_search(request, session, channels, console)
    kind = "job" if request.options.in_one_job else "tuning job"
    console.print(visible(f"{kind}: {name}"), markup=False)
    best = search(request, name, session, console)
    values = " ".join(f"{name}={text}" for name, text in best.items())
    console.print(visible(f"best: {values}"), markup=False)
    for warning in search_space.edge_warnings(request.space, best):
        console.print(visible(warning), style="yellow", markup=False)
    config = TrainConfig.from_strings(request.job.config.to_strings() | dict(best))
    final_fit = replace(request.job, config=config)
    watch = launch.watch_of(final_fit, session, console)
    with still_running(f"{name} has ended; the same command starts its final fit."):
        job = start_final_fit(
            lambda: launch.find_or_start(final_fit, session, channels, console), watch.patience
        )
    console.print(visible(f"final fit: {job}"), markup=False)
    return launch.follow(final_fit, job, session, console)


def _check_searches(sagemaker: "SageMakerClient", options: SearchOptions, attach: str = "") -> None:
    """Raises TrainingFailed for a search that does not exist, or is no parent yet."""
    for parent in options.parents:
        if search_status(sagemaker, parent) in LIVE_STATES:
            raise TrainingFailed(f"{parent} still runs: a search learns from others that ended.")
    if attach and not options.in_one_job:
        search_status(sagemaker, attach)


def start_final_fit(start: Callable[[], str], patience: Patience) -> str:
    """The job's name. Repeats only what AWS refused to create. The machines of the last trials may
    still count against the account's quota for a minute.
    """

    def is_refused(error: Exception) -> bool:
        is_of_creation = isinstance(error, ClientError) and error.operation_name == CREATE
        return is_of_creation and (is_throttled(error) or _is_limit(error))

    return patience.call(start, is_refused)


def _is_limit(error: Exception) -> bool:
    return isinstance(error, ClientError) and is_limit(error)


def tuner(
    request: TuningRequest, session: boto3.Session, channels: Channels
) -> "HyperparameterTuner":
    from sagemaker.train.tuner import HyperparameterTuner

    class Tuner(HyperparameterTuner):  # type: ignore[misc]
        """Adds network isolation, which the SDK's tuner drops."""

        def _build_training_job_definition(self, inputs: Any) -> Any:
            definition = super()._build_training_job_definition(inputs)
            definition.enable_network_isolation = launch.is_isolated(request.trial)
            return definition

    trainer = launch.trainer(request.trial, session, channels)
    trainer.checkpoint_config = None  # trials would share it and reject each other's
    return Tuner(
        trainer,
        request.objective,
        {name: _parameter(name, dimension) for name, dimension in request.space.items()},
        metrics.definitions(),
        strategy=request.options.strategy,
        objective_type="Maximize" if trials.maximizes(request.objective) else "Minimize",
        max_jobs=None if request.options.strategy == "Grid" else request.job.config.trials,
        max_parallel_jobs=request.options.parallel,
        early_stopping_type="Auto" if request.options.early_stopping else "Off",
        warm_start_config=_warm_start(request, session, channels),
        random_seed=request.job.config.seed or None,
    )


def _parameter(name: str, dimension: Continuous | Categorical) -> Any:
    """Categorical values are sent verbatim: the SDK's JSON form would quote them."""
    from sagemaker.core.parameter import (
        CategoricalParameter,
        ContinuousParameter,
        IntegerParameter,
    )

    if isinstance(dimension, Categorical):
        return CategoricalParameter(list(dimension.values))
    if search_space.is_integer(name):
        return IntegerParameter(round(dimension.low), round(dimension.high), dimension.scale)
    return ContinuousParameter(dimension.low, dimension.high, dimension.scale)


def _warm_start(request: TuningRequest, session: boto3.Session, channels: Channels) -> Any:
    """Identical data and image: the parents' trials count; otherwise it is transfer learning, as it
    is on data that are used in place and may have changed since.
    """
    from sagemaker.core.shapes import (
        HyperParameterTuningJobWarmStartConfig,
        ParentHyperParameterTuningJob,
    )

    if not request.options.parents:
        return None
    sagemaker = session.client("sagemaker")
    identical = not channels.in_place
    for parent in request.options.parents:
        definition: Mapping[str, Any] = sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=parent
        )["TrainingJobDefinition"]
        [data] = [
            channel for channel in definition["InputDataConfig"] if channel["ChannelName"] == "data"
        ]
        identical &= data["DataSource"]["S3DataSource"]["S3Uri"] == channels.uris["data"]
        identical &= definition["AlgorithmSpecification"]["TrainingImage"] == request.job.image
    return HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=[
            ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=parent)
            for parent in request.options.parents
        ],
        warm_start_type="IdenticalDataAndAlgorithm" if identical else "TransferLearning",
    )


def search_stem(request: TuningRequest, channels: Channels) -> str:
    """What the names of all searches of the same values begin with: a name has 32 characters, and
    those of its trials 13 more.
    """
    options = request.options
    how = [options.strategy, options.parallel, options.early_stopping, options.parents]
    of = json.dumps(
        [launch.run_id(request.trial, channels), search_space.format_space(request.space), how]
    )
    run, number = "", int(hashlib.sha256(of.encode()).hexdigest(), 16)
    for _ in range(SEARCH_CHARACTERS):
        number, digit = divmod(number, len(DIGITS))
        run += DIGITS[digit]
    prefix = request.job.stage.prefix
    left = NAME_CHARACTERS - len(prefix) - len(f"-{run}") - NUMBER_CHARACTERS
    return f"{prefix}{request.job.config.name[:left].rstrip('-')}-{run}"
