"""`python -m cli`, which the script `sortbox` runs."""

import os
import sys
from pathlib import Path

if not __package__:  # run as a folder, from whatever folder the person is in
    sys.path[0] = str(Path(__file__).parents[1])

import click

from cli import errors
from cli.commands import answers, browse, data, endpoint, local, models, stage, training
from cli.commands.verify import verify
from cli.parameters import Group
from domain.version import VERSION
from infra import interrupt

GROUPS = {
    "On this machine": (local.demo, local.up, local.down),
    "Models": (
        training.train,
        training.tune,
        training.stop,
        data.data_set,
        data.join,
        models.preview,
        models.promote,
        models.rollback,
    ),
    "Answers": (
        browse.console,
        answers.status,
        browse.ls,
        browse.open_report,
        answers.reclassify,
        answers.review,
    ),
    "Stages": (
        stage.deploy,
        endpoint.endpoint,
        stage.image,
        stage.doctor,
        stage.logs,
        stage.cost,
        stage.redrive,
        verify,
        stage.remove,
    ),
}


class Sortbox(Group):
    """The commands, grouped in `--help`."""

    def invoke(self, ctx: click.Context) -> object:
        """`./sortbox status | head` is no failure: click would end with 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(item.name or "", item.get_short_help_str(80)) for item in commands]
                )


@click.group(cls=Sortbox, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="sortbox")
def sortbox() -> None:
    """Drop images into an S3 inbox, read JSON from the outbox.

    Exit codes: 0 done, 1 failed, 2 wrong command line, 3 done and the answer is no, 130
    interrupted.
    """


@sortbox.command(cls=click.Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: `eval "$(./sortbox completion bash)"`."""
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class is not None
    click.echo(completion_class(sortbox, {}, "sortbox", "_SORTBOX_COMPLETE").source())


for group in GROUPS.values():
    for command in group:
        sortbox.add_command(command)


def main() -> None:
    try:
        errors.run(_run)
    finally:  # Python, as it ends, has no place any more for an exception
        interrupt.end_at_once()


def _run() -> None:
    interrupt.listen()
    sortbox.main(prog_name="sortbox", standalone_mode=False)


if __name__ == "__main__":
    main()
