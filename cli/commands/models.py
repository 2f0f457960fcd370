"""Which model answers: preview, promote, rollback."""

import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.commands.answers import start_reclassification
from cli.commands.local import pack_bundled_model
from cli.costs import COST, announce
from cli.environment import require_training
from cli.output import say
from cli.parameters import IMAGE, Command, stage_option
from cli.stages import connect, image_of, image_to_restore

if TYPE_CHECKING:
    from domain.model import ActiveModel, ModelCard
    from infra.stage import Stage


@click.command(cls=Command)
@stage_option()
@click.option("--job", metavar="NAME", help="A training job.  [default: the latest]")
@click.option(
    "--archive", type=click.Path(path_type=Path, exists=True), help="A model.tar.gz instead."
)
@click.option(
    "--tests",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of labelled images to evaluate on.",
)
@click.option("--bundled", is_flag=True, help="The bundled ImageNet model, without evaluation.")
@IMAGE
@click.option("--replace-labels", is_flag=True, help="Accept other labels than the active model's.")
@click.option("--override", default="", metavar="REASON", help="Promote a worse model, and why.")
@click.option("--reclassify", is_flag=True, help="Then bring every answer up to date.")
@COST
def promote(
    stage: "Stage",
    job: str | None,
    archive: Path | None,
    tests: Path | None,
    bundled: bool,
    image: str | None,
    replace_labels: bool,
    override: str,
    reclassify: bool,
    cost: str | None,
) -> None:
    """Evaluate a trained model beside the active one, and make it active if it is not worse.

    Exit code 3: the model was evaluated and refused.
    """
    from rich.console import Console

    if bool(job) + bool(archive) + bundled > 1:
        raise click.UsageError("Give one of --job, --archive and --bundled.")
    if archive and not tests:
        raise click.UsageError("--archive needs --tests: a folder of labelled images.")
    _connect(stage, cost)
    image_for = _image_choice(stage, image)
    if bundled:
        from infra.models.activate import activate_archive, read_card

        model = pack_bundled_model()
        active = activate_archive(stage, model, image_for(read_card(model)), keep=False)
    else:
        require_training()
        from training.launch.promote import CandidateSource, PromotionOptions, run

        source, wish = (
            CandidateSource(job, archive, tests),
            PromotionOptions(replace_labels, override),
        )
        active = run(stage, image_for, source, wish, Console())
    _show(active)
    start_reclassification(stage, yes=reclassify)


@click.command(cls=Command)
@stage_option()
@click.option("--job", metavar="NAME", help="A training job.  [default: the latest]")
@click.option(
    "--archive", type=click.Path(path_type=Path, exists=True), help="A model.tar.gz instead."
)
@click.option("--folder", default="", metavar="NAME", help="Take images of this folder only.")
@click.option(
    "--images",
    type=click.IntRange(1, 2_000),
    default=300,
    show_default=True,
    metavar="NUMBER",
    help="Size of the sample.",
)
@click.option("--open", "opens", is_flag=True, help="Show the page in the browser.")
def preview(
    stage: "Stage", job: str | None, archive: Path | None, folder: str, images: int, opens: bool
) -> None:
    """Show which answers would change if a trained model were promoted.

    The model answers a sample of the inbox on this machine, and a page shows the changes with
    pictures, the most confident first. Nothing is changed.
    """
    from rich.console import Console

    if job and archive:
        raise click.UsageError("Give one of --job and --archive.")
    connect(stage)
    require_training()
    from training.launch.preview import PreviewRequest, run

    page = run(stage, PreviewRequest(job, archive, folder, images), Console())
    say(f"page: {page}")
    if opens:
        webbrowser.open(page.resolve().as_uri())


@click.command(cls=Command)
@stage_option()
@click.option("--image", metavar="URI", help="Serve it by this image, named by digest.")
@click.option("--reclassify", is_flag=True, help="Then bring every answer up to date.")
@COST
def rollback(stage: "Stage", image: str | None, reclassify: bool, cost: str | None) -> None:
    """Make the previously active model active again; a second time goes back once more."""
    import boto3

    from infra.models.rollback import roll_back

    _connect(stage, cost)
    clients = boto3.client("s3"), boto3.client("sagemaker")
    _show(roll_back(stage, *clients, image, lambda before: image_to_restore(stage, before)))
    start_reclassification(stage, yes=reclassify)


def _image_choice(stage: "Stage", image: str | None) -> "Callable[[ModelCard], str]":
    """The image that serves a model: `image` where one is named, else what its card asks for."""
    from infra.models import image_choice

    def image_for(card: "ModelCard") -> str:
        variant = image_choice.for_model(card, stage.endpoint_instance_type)
        return image or image_of(stage, variant)

    return image_for


def _connect(stage: "Stage", cost: str | None) -> None:
    """Connect, and say what the endpoint costs at most; with `--cost` of an instance, and before
    anything speaks to AWS.
    """
    from infra.diagnostics.cost import load_prices
    from infra.diagnostics.most_cost import of_endpoint

    prices, instance_type = load_prices(), stage.endpoint_instance_type
    if cost is not None:
        announce(stage, of_endpoint(prices, instance_type), cost)
    connect(stage)
    announce(stage, of_endpoint(prices, instance_type, stage.endpoint_settings()), None)


def _show(active: "ActiveModel") -> None:
    say(f"active: {active.id}\nendpoint: {active.endpoint or 'none: transform jobs answer'}")
