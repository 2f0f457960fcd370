"""The cloud on this machine: demo, up, down."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import REFUSED, fail
from cli.output import say
from cli.parameters import REPOSITORY, Choice, Command
from infra.local import accounts
from infra.local.accounts import Account

if TYPE_CHECKING:
    from domain.model import ActiveModel
    from infra.local.cloud import LocalCloud

ARCHIVE = REPOSITORY / "build" / "imagenet.tar.gz"
MADE_OF = (
    "requirements.txt",
    "domain/model.py",
    "training/model/bundled.py",
    "training/model/bundled_weights.py",
    "training/model/lite0_graph.py",
    "training/model/openvino_files.py",
    "training/model/package.py",
)


@click.command(cls=Command)
def demo() -> None:
    """Classify photographs on this machine; no account is needed.

    Starts the local cloud where it is not up, drops photographs in its inbox, and shows the
    answers. A model that you have promoted stays active, and answers them.
    """
    from rich.console import Console

    from infra.local import demo as photographs
    from infra.local.beside import console_address
    from infra.models.activate import read_card

    cloud, active = _up()
    if active is None:
        fail("The demo needs a model: `./sortbox down`, then `./sortbox up --account established`.")
    own = (
        None
        if active.id.name == read_card(ARCHIVE).name
        else f"{active.id.name}:{active.id.version}"
    )
    code = photographs.demo(cloud.client("s3"), cloud.bucket, own, Console())
    if address := console_address(cloud.place):
        say(f"in a browser: {address}")
    sys.exit(REFUSED if code else 0)


@click.command(cls=Command)
@click.option(
    "--account",
    type=Choice(accounts.names()),
    help="What the cloud has of AWS's quotas: `fresh` as a new account, `established` as one that"
    " has asked for its machines.  [default: whichever runs, else established]",
)
def up(account: str | None) -> None:
    """Start the local cloud, with a model that knows ImageNet's labels.

    A model that is active already stays active. In a `fresh` account none is brought up: it has
    no machines.
    """
    from infra.local.beside import console_address

    cloud, _ = _up(account)
    address = console_address(cloud.place) or "./sortbox console"
    say(
        f"""The local cloud is up.
  AWS        {cloud.ports.aws_url}
  SageMaker  {cloud.ports.sagemaker_url}
  bucket     {cloud.bucket}
  logs       {cloud.place.logs}
In a shell:   . {cloud.place.environment_file}
              aws s3 cp cat.jpg s3://{cloud.bucket}/inbox/
              aws s3 cp s3://{cloud.bucket}/outbox/cat.jpg.json -
In a browser: {address}"""
    )


@click.command(cls=Command)
def down() -> None:
    """Stop the local cloud; its objects, models and endpoints stay."""
    from infra import interrupt
    from infra.local import cloud
    from infra.local.place import Place

    interrupt.leaves("cloud", "The local cloud may be half down: run `./sortbox down` again.")
    cloud.down(Place.named(os.environ), say)


def _up(kind: str | None = None) -> "tuple[LocalCloud, ActiveModel | None]":
    """The local cloud, up, and its active model: whichever is active already, else the bundled one.
    None in an account that has no machines for one.
    """
    from cli.stages import connect
    from infra import interrupt
    from infra.local import cloud, container_image
    from infra.local.account import STAGE
    from infra.local.place import Place
    from infra.models.activate import activate_archive

    archive = pack_bundled_model()
    place = Place.named(os.environ)
    runs = "The local cloud is up; `./sortbox down` stops it."
    interrupt.leaves("cloud", runs if place.holder() else "The local cloud is not up.")
    running = cloud.up(place, say, kind=kind)
    interrupt.leaves("cloud", runs)
    connect(STAGE)
    quota = f"{STAGE.endpoint_instance_type} for endpoint usage"
    needs_machine = STAGE.endpoint_settings().endpoint == "instance"
    if needs_machine and Account.named(running.kind).quota(quota) == 0:
        say(f"no model is active: of this {running.kind} account the quota {quota!r} is 0")
        return running, None
    active = activate_archive(STAGE, archive, container_image.uri(), keep=True)
    say(f"active: {active.id}\nendpoint: {active.endpoint or 'none: transform jobs answer'}")
    return running, active


def pack_bundled_model() -> Path:
    """The bundled model's archive, packed where it is missing or older than its sources."""
    newest = max((REPOSITORY / name).stat().st_mtime for name in MADE_OF)
    if not ARCHIVE.exists() or ARCHIVE.stat().st_mtime < newest:
        from training.model import bundled

        say("Packing the bundled ImageNet model …")
        say(bundled.write(ARCHIVE))
    return ARCHIVE
