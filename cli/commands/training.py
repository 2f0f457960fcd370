"""Training: train, tune, stop."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.costs import COST, announce
from cli.environment import require_training
from cli.output import say
from cli.parameters import (
    IMAGE,
    Choice,
    Command,
    Decorator,
    folder_or_address,
    hyperparameters,
    set_hyperparameters,
    stage_option,
)
from cli.stages import connect, free_bytes_of, image_of, is_billed
from domain.instance import DEFAULT_TYPE, PARALLEL_TRIALS
from training.launch import limits

if TYPE_CHECKING:
    from infra.stage import Stage
    from training.launch.job import JobRequest


def _read_list(ctx: click.Context, param: click.Parameter, path: Path | None) -> frozenset[str]:
    from training.findings.finding import read_paths

    return read_paths(path) if path else frozenset()


def job_options(command: Any) -> Any:
    """What `train` and `tune` share, in the order of `--help`."""
    options: list[Decorator] = [
        click.argument("data", callback=folder_or_address),
        stage_option(),
        click.option(
            "--exclude",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            callback=_read_list,
            help="Leave out the images that this list names: `findings.csv` of `data check`.",
        ),
        click.option("--instance-type", default=DEFAULT_TYPE, show_default=True, metavar="TYPE"),
        IMAGE,
        click.option("--spot", is_flag=True, help="Use spot instances: cheaper, interruptible."),
        click.option(
            "--max-hours",
            type=click.FloatRange(limits.SHORTEST_HOURS, limits.LONGEST_HOURS),
            default=limits.DEFAULT_HOURS,
            show_default=True,
            metavar="NUMBER",
            help="Stop each job after this time: the limit of what it costs.",
        ),
        click.option(
            "--volume-gb",
            type=click.IntRange(1, limits.LARGEST_VOLUME_GB),
            default=limits.DEFAULT_VOLUME_GB,
            show_default=True,
            metavar="NUMBER",
            help="Size of each job's disk, which holds the images.",
        ),
        click.option(
            "--attach", default="", metavar="JOB", help="Watch this job in place of starting one."
        ),
        click.option("--managed-debugger", is_flag=True, help="Run SageMaker's own rules as well."),
        COST,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(cls=Command)
@job_options
@hyperparameters()
def train(data: str, stage: "Stage", **options: Any) -> None:
    """Train a model on DATA: a folder of images, or s3://….

    DATA holds `train/`, `validation/` (or `valid/`) and `test/`, with a folder for each class; or a
    folder for each class, and the splits are made from it. Running the same command again watches
    the job that it started, or resumes one that has stopped.
    """
    from rich.console import Console

    require_training()
    from infra.diagnostics.cost import load_prices
    from training.launch import job

    connect(stage)
    request, console = _job(data, stage, options), Console()
    if not options["attach"]:
        announce(stage, job.limit(request, load_prices()), options["cost"])
    sys.exit(0 if job.run(request, console, options["attach"]) else 1)


@click.command(cls=Command)
@job_options
@click.option(
    "--strategy",
    type=Choice(("Bayesian", "Random", "Grid"), "STRATEGY"),
    default="Bayesian",
    show_default=True,
    help="Bayesian, Random or Grid.",
)
@click.option(
    "--parallel",
    type=click.IntRange(1, 100),
    default=PARALLEL_TRIALS,
    show_default=True,
    help="Trials that run at once.",
)
@click.option("--no-early-stopping", is_flag=True, help="Let every trial run to its last epoch.")
@click.option("--warm-start", default="", metavar="JOB,…", help="Tuning jobs to learn from.")
@click.option("--in-one-job", is_flag=True, help="Search heads side by side in one training job.")
@hyperparameters(ranges=True)
def tune(data: str, stage: "Stage", **options: Any) -> None:
    """Search for the best hyperparameters on DATA, then train with them.

    A range is written LOW:HIGH, a choice A,B,C: `--lr 0.0001:0.01 --epochs 5,10`. Without any,
    the learning rate and the batch size are searched. Running the same command again goes on with
    the search that it started, or with the final fit of one that has completed.
    """
    from rich.console import Console

    require_training()
    from infra.diagnostics.cost import load_prices
    from training.launch import tune as search

    connect(stage)
    search_options = search.SearchOptions(
        strategy=options["strategy"],
        parallel=options["parallel"],
        early_stopping=not options["no_early_stopping"],
        parents=tuple(filter(None, options["warm_start"].split(","))),
        in_one_job=options["in_one_job"],
    )
    request = search.tuning_request(
        _job(data, stage, {name: options[name] for name in JOB}),
        set_hyperparameters(options),
        search_options,
    )
    console = Console()
    if not options["attach"]:
        announce(stage, search.limit(request, load_prices()), options["cost"])
    sys.exit(0 if search.run(request, console, options["attach"]) else 1)


@click.command(cls=Command)
@click.argument("job")
@stage_option()
def stop(job: str, stage: "Stage") -> None:
    """Stop JOB, a training job or a search, by its name.

    The command that started a training job goes on from its last checkpoint, if it has saved one.
    """
    import boto3

    from training.launch import live_jobs

    connect(stage)
    say(live_jobs.stop(boto3.client("sagemaker"), job))


JOB = ("exclude", "instance_type", "image", "spot", "max_hours", "volume_gb", "managed_debugger")


def _job(data: str, stage: "Stage", options: dict[str, Any]) -> "JobRequest":
    from infra.models import image_choice
    from training.launch import job
    from training.launch.watching.watch import LOCAL_POLL_SECONDS, POLL_SECONDS

    instance_type = options["instance_type"]
    variant = image_choice.for_training(instance_type)
    is_attached = bool(options.get("attach"))  # to a job that has its image
    image = options["image"] or ("" if is_attached else image_of(stage, variant))
    words = set_hyperparameters(options)
    request = job.job_request(stage, image, data, words, instance_type, options["spot"])
    return replace(
        request,
        max_hours=options["max_hours"],
        volume_gb=options["volume_gb"],
        poll_seconds=POLL_SECONDS if is_billed(stage) else LOCAL_POLL_SECONDS,
        managed_debugger=options["managed_debugger"],
        downloads_here=not is_billed(stage),
        free_bytes=free_bytes_of(stage),
        exclude=options["exclude"],
    )
