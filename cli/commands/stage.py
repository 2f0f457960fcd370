"""A stage in an account: deploy, image, doctor, cost, logs, redrive, remove."""

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cli.costs import COST, announce
from cli.errors import REFUSED, fail
from cli.output import say, say_json
from cli.parameters import IMAGE, Choice, Command, ImageCount, WithSettings, stage_option
from cli.stages import LOCAL, connect, image_of, serve_as_deployed
from domain.instance import DEFAULT_TYPE

if TYPE_CHECKING:
    from infra.shipped import Variant
    from infra.stage import Stage

VARIANTS = ("serve", "cpu", "gpu")
QUEUES = ("inbox", "backlog", "folder", "page", "job-event")
"""A test holds these to the queues of `infra.diagnostics.findings` that have dead letters."""


@click.command(cls=WithSettings)
@stage_option(required=True)
def deploy(stage: "Stage", **settings: Any) -> None:
    """Deploy a stage into the AWS account of your credentials.

    The settings below hold for this deployment; write them under `params` in serverless.yml to
    keep them. Those of the endpoint are kept until they are changed.
    """
    from dataclasses import asdict

    from infra.endpoint_settings import EndpointSettings
    from infra.stacks.deploy import deploy as deploy_stage

    connect(stage)
    named = {name: value for name, value in settings.items() if value is not None}
    deployed = deploy_stage(stage, named)
    # A stage of default settings gets its instance, which bills by the hour, by a promotion only.
    if deployed != EndpointSettings() or named.keys() & asdict(deployed).keys():
        serve_as_deployed(stage)


@click.command(cls=Command)
@stage_option(required=True)
@click.option(
    "--variant",
    type=Choice(VARIANTS, "|".join(VARIANTS)),
    default="serve",
    show_default=True,
    help="serve: OpenVINO. cpu: PyTorch too. gpu: PyTorch with CUDA.",
)
@click.option("--training", is_flag=True, help="Build the image that trains as well.")
@click.option(
    "--instance-type",
    metavar="TYPE",
    help="With --training: what is trained on; a GPU needs CUDA.  [default: ml.m5.xlarge]",
)
@COST
def image(
    stage: "Stage",
    variant: "Variant",
    training: bool,
    instance_type: str | None,
    cost: str | None,
) -> None:
    """Build the container image on AWS CodeBuild, where it is missing; print its URI.

    `serve` serves the bundled model and each model that training compiles for OpenVINO.
    """
    from infra.diagnostics.cost import load_prices
    from infra.diagnostics.most_cost import of_builds
    from infra.models import image_choice
    from infra.stacks.image import current

    if instance_type and not training:
        raise click.UsageError("--instance-type goes with --training; --variant names an image.")
    trains = [image_choice.for_training(instance_type or DEFAULT_TYPE)] if training else []
    variants = tuple(dict.fromkeys([variant, *trains]))
    announce(stage, of_builds(load_prices(), len(variants)), cost)
    connect(stage)
    for needed in variants:
        say(current(stage, needed, build_missing=True))


@click.command(cls=Command)
@stage_option()
@IMAGE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
def doctor(stage: "Stage", image: str | None, as_json: bool) -> None:
    """Check whether a stage has everything it needs, and what it costs.

    Exit code 3: something is missing.
    """
    import boto3

    from infra.diagnostics.doctor import CheckContext, run_checks

    connect(stage)
    session: Any = boto3.Session()
    if stage.name == LOCAL:
        image = image or image_of(stage, "serve")
    states: Counter[str] = Counter()
    for finding in run_checks(CheckContext(stage, image, session.client)):
        states[finding.state] += 1
        if as_json:
            document = {"about": finding.about, "state": finding.state}
            say_json(document | {"sentence": finding.sentence})
        else:
            say(f"{finding.state:12} {finding.about:12} {finding.sentence}")
    if not as_json:
        say(f"{states['missing']} missing, {states['not checked']} not checked")
    if states["not checked"] and not states["ok"]:
        fail("Nothing could be checked: see the reasons above.")
    sys.exit(REFUSED if states["missing"] else 0)


@click.command(cls=Command)
@click.option("--images-per-day", type=ImageCount(), help="20000, or 20k.")
@click.option("--folder-size", type=click.IntRange(1), default=1, show_default=True)
@click.option("--instance", default="ml.m5.xlarge", show_default=True, metavar="TYPE")
@click.option("--rate", type=float, default=50.0, show_default=True, help="Images a second.")
@click.option("--image-kb", type=float, default=200.0, show_default=True)
@click.option("--serverless-seconds", type=float, default=0.1, show_default=True)
@click.option("--check", is_flag=True, help="Compare the price table with AWS's price list.")
@click.option("--json", "as_json", is_flag=True, help="Print the costs, or the check, as JSON.")
def cost(
    images_per_day: int | None,
    folder_size: int,
    instance: str,
    rate: float,
    image_kb: float,
    serverless_seconds: float,
    check: bool,
    as_json: bool,
) -> None:
    """Compare what a month costs on each route.

    --check compares each line of the price table with AWS's price list, which takes credentials
    with pricing:GetProducts. Exit code 3: AWS has another price.
    """
    from dataclasses import asdict

    from infra.diagnostics import cost as costs

    if check:
        _check_prices(as_json)
    if images_per_day is None:
        raise click.UsageError("Missing option '--images-per-day'.")
    assumptions = costs.Assumptions(
        instance=instance,
        rate=rate,
        image_gb=image_kb / 1e6,
        serverless_seconds=serverless_seconds,
    )
    prices, demand = costs.load_prices(), costs.Load(images_per_day, folder_size)
    if as_json:
        say_json(asdict(costs.month(prices, demand, assumptions)))
        return
    for line in costs.lines(prices, demand, assumptions):
        say(line)


def _check_prices(as_json: bool) -> NoReturn:
    import boto3

    from infra.diagnostics import cost as costs
    from infra.diagnostics import price_list

    client = boto3.client("pricing", region_name=price_list.REGION)
    states: Counter[str] = Counter()
    for line in price_list.compare(costs.load_prices(), client):
        states[line.state] += 1
        if as_json:
            say_json(line.document)
        else:
            say(f"{line.state:10} {line}")
    if not as_json:
        say(", ".join(f"{states[state]} {state}" for state in ("same", "changed", "not found")))
        say(f"Correct the lines, their day and source in infra/diagnostics/{costs.TABLE.name}.")
    sys.exit(REFUSED if states["changed"] else 0)


@click.command(cls=Command)
@click.argument("name", default="")
@stage_option()
@click.option("--lines", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--follow", is_flag=True, help="Go on printing what is added, until Ctrl-C.")
def logs(name: str, stage: "Stage", lines: int, follow: bool) -> None:
    """Print the last log lines of a stage; NAME is a part of a log's name, such as onUpload."""
    from infra.diagnostics import logs as reader

    if stage.name == LOCAL:  # files, which are there when the cloud is down as well
        from infra.local.place import Place

        printed = reader.of_files(Place.named(os.environ).log_folders, name, lines, follow)
    else:
        import boto3

        connect(stage)
        printed = reader.of_groups(boto3.client("logs"), stage, name, lines, follow)
    for line in printed:
        say(line)


@click.command(cls=Command)
@click.argument("queue", type=Choice(QUEUES), metavar="|".join(QUEUES))
@stage_option()
def redrive(queue: str, stage: "Stage") -> None:
    """Put the dead letters of QUEUE back into it, once what made them fail is mended."""
    import boto3

    from infra.redrive import redrive as put_back

    connect(stage)
    for sentence in put_back(boto3.client("sqs"), stage, queue):
        say(sentence)


@click.command(cls=Command)
@stage_option(required=True)
@click.option(
    "--bucket",
    type=Choice(("keep", "delete"), "keep|delete"),
    default="keep",
    show_default=True,
    help="delete: the bucket with everything in it.",
)
@click.option("--images", is_flag=True, help="Delete the image repository, of all stages.")
@click.option("--logs", is_flag=True, help="Delete what SageMaker logged for the stage.")
@click.option("--models", is_flag=True, help="Delete the stage's versions in the model registry.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def remove(stage: "Stage", bucket: str, images: bool, logs: bool, models: bool, yes: bool) -> None:
    """Remove a stage: first what bills by the hour, then the rest; the bucket stays.

    At the end it says what is left in the account, and what that costs.
    """
    import boto3

    from infra import leftovers
    from infra.stacks import remove as removal

    def confirm_bucket(name: str) -> bool:
        if yes:
            return True
        _check_terminal()
        return bool(click.prompt(f"Type {name} to delete it and everything in it") == name)

    requested = {
        "images": images and "the container images of all stages",
        "logs": logs and f"SageMaker's logs of {stage.name}",
        "models": models and f"the registry's versions of {stage.name}",
    }
    kinds = {kind: what for kind, what in requested.items() if what}
    if kinds and not yes:
        _check_terminal()
        click.confirm(f"Delete {' and '.join(kinds.values())}?", abort=True)
    connect(stage)
    removal.run(stage, bucket == "delete", confirm_bucket)
    session: Any = boto3.Session()
    for leftover in leftovers.find(leftovers.RemovedStage(stage, session.client)):
        if leftover.delete is None:
            say(leftover.sentence)
        elif leftover.kind in kinds:
            leftover.delete()
            say(f"deleted: {leftover.sentence}")
        else:
            say(f"left: {leftover.sentence}; --{leftover.kind} deletes it")


def _check_terminal() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Deleting data: not a terminal, pass --yes to confirm.")
