"""Find the best hyperparameters, then fit with them: a SageMaker tuning job, or one job for all.

`python -m training.tune --stage dev --image <uri> --data photos/ LR=0.001:0.1 BATCH_SIZE=32,64 …`

A range is written low:high, a choice with commas; all else holds for every trial. Trials are judged
by validation. The final fit is by images that chose nothing, with debugger and profiler on.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from infra.stage import StageError
from training import config, launch, search, trials, trials_page, trials_watch
from training.config import TrainConfig
from training.failure import TrainingFailed
from training.ranges import Categorical, Continuous
from training.search import Space, Values
from training.trials import Trial
from training.trials_watch import OneJob, TuningJob
from training.tuner import Asked, tuner, tuning_name
from training.watch import watched

STRATEGIES = ("Bayesian", "Random", "Grid")
PARALLEL = 2
NOTHING = "no trial came to anything."


def asked(given: argparse.Namespace) -> Asked:
    """Raises TrainingFailed for what cannot be searched."""
    words = dict(word.split("=", 1) for word in given.hyperparameters)
    told = search.told({name.lower().replace("_", "-"): text for name, text in words.items()})
    usual = {n: each for n, each in config.search_space().items() if n not in told.fixed}
    space = dict(sorted((usual | told.space).items(), key=lambda each: _is_choice(each[1])))
    if not space:
        raise TrainingFailed("Nothing is left to search: say a range, such as LR=0.001:0.1.")
    plain = [f"{name}={text}" for name, text in (told.fixed | {"tuned": "yes"}).items()]
    job = launch.asked(argparse.Namespace(**vars(given) | {"hyperparameters": plain}))
    if given.in_one_job:
        search.check_one_job(_within_one(job, space).told)
    parents = tuple(given.warm_start.split(",")) if given.warm_start else ()
    return Asked(
        job, space, given.strategy, given.parallel, given.early_stopping == "Auto", parents,
        given.in_one_job,
    )  # fmt: skip


def _is_choice(each: Continuous | Categorical) -> bool:
    return isinstance(each, Categorical)


def _within_one(job: launch.Asked, space: Space) -> launch.Asked:
    return replace(job, told=replace(job.told, search=search.written(space)))


def searched(
    asked: Asked, session: boto3.Session, channels: Mapping[str, str], console: Console
) -> Values:
    """The best. Raises TrainingFailed where nothing was found."""
    road = _one_job if asked.in_one_job else _tuning_job
    name, seen, reason = road(asked, session, channels, console)
    folder = launch.REPORTS / name
    console.print(trials_watch.table(seen, asked.job.told, asked.space))
    space = search.written(asked.space)
    trials.write(folder, asked.objective, space, seen)
    (folder / trials_page.FILE).write_text(trials_page.html(name, asked.objective, space, seen))
    console.print(f"trials: {folder / trials_page.FILE}", markup=False, soft_wrap=True)
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
    console.print(f"job: {job}", markup=False)
    places = search.spread(asked.space, wanted.told.trials, wanted.told.seed)
    folder = launch.REPORTS / job
    seen = OneJob(session.client("sagemaker"), session.client("logs"), job, places, folder)
    end = trials_watch.watched(seen, asked.job.told, asked.space, console)
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
    console.print(f"tuning job: {name}", markup=False)
    folder = launch.REPORTS / name
    seen = TuningJob(session.client("sagemaker"), session.client("logs"), name, folder)
    end = trials_watch.watched(seen, asked.job.told, asked.space, console)
    for trial in end.trials:
        launch.reports(session.client("s3"), asked.job.stage.bucket, trial.name, folder)
    return name, end.trials, end.reason


def fitted(
    asked: Asked,
    best: Values,
    session: boto3.Session,
    channels: Mapping[str, str],
    console: Console,
) -> int:
    """The final fit; the exit status."""
    told = TrainConfig.from_strings(asked.job.told.to_strings() | dict(best))
    wanted = replace(asked.job, told=told)
    job = launch.started(wanted, session, channels)
    console.print(f"final fit: {job}", markup=False)
    ended = watched(session.client("sagemaker"), session.client("logs"), job, told.epochs, console)
    left = launch.reports(session.client("s3"), wanted.stage.bucket, job)
    return launch.told_of(ended, left, wanted.stage, console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.tune", description=__doc__)
    parser.add_argument("--stage", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--data", required=True, help="a folder, or s3://…")
    parser.add_argument("--instance-type", default=launch.INSTANCE_TYPE)
    parser.add_argument("--spot", action="store_true", help="cheaper, and may be interrupted")
    parser.add_argument("--managed-debugger", action="store_true", help="SageMaker's, in the end")
    parser.add_argument("--strategy", choices=STRATEGIES, default=STRATEGIES[0])
    parser.add_argument("--parallel", type=int, default=PARALLEL, help="trials at once")
    parser.add_argument("--early-stopping", choices=("Auto", "Off"), default="Auto")
    parser.add_argument("--warm-start", default="", help="tuning jobs to learn from: a,b")
    parser.add_argument("--in-one-job", action="store_true", help="heads, side by side")
    parser.add_argument("hyperparameters", nargs="*", metavar="NAME=value")
    return parser


def main(arguments: list[str]) -> int:
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")  # the stack's own role needs none
    console, session = Console(), boto3.Session()
    try:
        wanted = asked(_parser().parse_args(arguments))
        channels = launch.channels(wanted.job, session, console)
        best = searched(wanted, session, channels, console)
        said = " ".join(f"{name}={text}" for name, text in best.items())
        console.print(f"best: {said}", markup=False)
        for warning in search.at_edges(wanted.space, best):
            console.print(warning, style="yellow", markup=False)
        return fitted(wanted, best, session, channels, console)
    except (TrainingFailed, StageError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("The search goes on; `aws sagemaker stop-hyper-parameter-tuning-job` (or "
              "stop-training-job) ends it.", file=sys.stderr)  # fmt: skip
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
