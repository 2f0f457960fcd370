"""How a stage answers single images: show it, or change it."""

from typing import TYPE_CHECKING, Any

import click

from cli.costs import announce
from cli.output import say
from cli.parameters import Choice, Command, stage_option
from cli.stages import connect, serve_as_deployed
from domain.model import ENDPOINT_MODES

if TYPE_CHECKING:
    from infra.stage import Stage


@click.command(cls=Command)
@stage_option()
@click.option(
    "--mode",
    type=Choice(ENDPOINT_MODES, "|".join(ENDPOINT_MODES)),
    help="instance: up around the clock. serverless: billed by use. none: transform jobs.",
)
def endpoint(stage: "Stage", mode: str | None) -> None:
    """Show how single images are answered, or change it with --mode.

    A change deploys the stage with `endpoint` set to the mode, makes the new endpoint, moves the
    pointer to it, and deletes the old one. Images that arrive meanwhile are answered by either.
    """
    import boto3

    from infra.diagnostics.cost import load_prices
    from infra.diagnostics.doctor import CheckContext, run_checks
    from infra.diagnostics.most_cost import of_endpoint
    from infra.stacks.deploy import deploy

    connect(stage)
    if mode is not None:
        if mode == "instance":
            announce(stage, of_endpoint(load_prices(), stage.endpoint_instance_type), None)
        deploy(stage, {"endpoint": mode})
        active = serve_as_deployed(stage)
        if active is None:
            say("No model is active; the first promotion answers singles in this mode.")
    session: Any = boto3.Session()
    for finding in run_checks(CheckContext(stage, None, session.client), ("endpoint",)):
        say(finding.sentence)
