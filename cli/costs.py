"""What a command costs at most: said before it starts, or on its own by `--cost`."""

import sys
from typing import TYPE_CHECKING

import click

from cli.output import say, say_json
from cli.parameters import Choice
from cli.stages import is_billed

if TYPE_CHECKING:
    from infra.diagnostics.most_cost import MostCost
    from infra.stage import Stage

COST = click.option(
    "--cost",
    type=Choice(("text", "json"), "text|json"),
    help="Say what it costs at most, and start nothing.",
)


def announce(stage: "Stage", most: "MostCost", cost: str | None) -> None:
    """Print what the command costs at most, and end it if `--cost` was given. The local cloud costs
    nothing, which is said only if asked for.
    """
    from infra.diagnostics.cost import load_prices
    from infra.diagnostics.most_cost import nothing

    if not is_billed(stage):
        if cost is None:
            return
        most = nothing(load_prices())
    if cost == "json":
        say_json(most.document)
    else:
        say(most.sentence)
    if cost is not None:
        sys.exit(0)
