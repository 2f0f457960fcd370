"""Command-line parameters that are generated: hyperparameters, a stage's settings, the stage.

No list is written twice: hyperparameters come from `TrainConfig`, settings from the `params` of
serverless.yml, and what a stage may be called from `Stage`.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from training.config.errors import TrainingFailed
from training.config.hyperparameter import flag, parse
from training.config.search_space import parse_range as parsed_range
from training.config.train_config import TrainConfig

REPOSITORY = Path(__file__).parents[1]

HYPERPARAMETERS = frozenset(field.name for field in fields(TrainConfig))

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def did_you_mean(text: str, names: Iterable[str]) -> str:
    """`" Did you mean 'lr'?"`, or nothing where no name is close."""
    near = difflib.get_close_matches(text.lower().replace("_", "-"), list(names), 1)
    return f" Did you mean {near[0]!r}?" if near else ""


class Group(click.Group):
    """An unknown command is answered with the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = did_you_mean(args[0], self.commands)
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


class Command(click.Command):
    """Says how an option is written where somebody writes it as make does: `EPOCHS=4`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = {
            option.removeprefix("--"): parameter
            for parameter in self.get_params(ctx)
            for option in parameter.opts
            if option.startswith("--")
        }
        for word in args:
            name, equals, value = word.partition("=")
            option = name.lower().replace("_", "-")
            if equals and not word.startswith("-") and re.fullmatch(r"[A-Za-z_]+", name):
                if option in options:
                    parameter = options[option]
                    is_flag = isinstance(parameter, click.Option) and parameter.is_flag
                    written = f"--{option}" if is_flag else f"--{option} {value}"
                    raise click.UsageError(f"{word!r}: write it as `{written}`.", ctx)
                hint = did_you_mean(option, options)
                raise click.UsageError(f"There is no option {name!r}.{hint}", ctx)
        return super().parse_args(ctx, args)


class Choice(click.ParamType[str]):
    """One of a few words; a misspelt one is answered with the nearest."""

    def __init__(self, words: Sequence[str], name: str = "") -> None:
        self.words = words
        self.name = name or "|".join(words)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if text not in self.words:
            hint = did_you_mean(text, self.words)
            self.fail(f"{text!r} is not one of {', '.join(self.words)}.{hint}", param, ctx)
        return text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class ImageCount(click.ParamType[int]):
    """A number of images, 1 or more, as people write it: 20000, 20,000, 20_000, 20k, 0.02M."""

    name = "number"

    WHOLE = re.compile(r"[0-9]{1,18}|[0-9]{1,3}(?:[,_][0-9]{3}){1,5}")
    """`20.000` is not among them: for some it is 20,000, for others 20."""

    THOUSANDS = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kKmM])")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        count = Decimal(0)
        if self.WHOLE.fullmatch(text):
            count = Decimal(text.replace(",", "").replace("_", ""))
        elif match := self.THOUSANDS.fullmatch(text):
            count = Decimal(match[1]) * (10**3 if match[2] in "kK" else 10**6)
        if count < 1 or count != int(count):
            self.fail(f"{text!r} is no number of images: 20000 or 20k is one.", param, ctx)
        return int(count)


class Hyperparameter(click.ParamType[str]):
    """The text of one hyperparameter, checked as the training job checks it.

    With `ranges`, `0.001:0.1` and `32,64` too, which tuning searches.
    """

    def __init__(self, field: "Field[Any]", ranges: bool) -> None:
        self.field = field
        self.ranges = ranges
        rules = field.metadata
        if field.name == "weights":
            self.name = "pretrained|none|FILE"
        elif "choices" in rules:
            self.name = "|".join(rules["choices"])
        elif "pattern" in rules:
            self.name = "text"
        else:
            self.name = "integer" if field.type is int else "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text, name = str(value), flag(self.field)
        if name == "weights":
            if text.startswith("s3://") or Path(text).is_file():
                return text
            if "/" in text or Path(text).suffix:
                self.fail(f"{text!r} is no file here, and no s3:// address.", param, ctx)
        try:
            if not (self.ranges and parsed_range(name, text)):
                parse(self.field, text)
        except TrainingFailed as error:
            hint = did_you_mean(text, self.field.metadata.get("choices", ()))
            self.fail(f"{error}{hint}", param, ctx)
        return text


def hyperparameters(ranges: bool = False) -> Decorator:
    """An option for each field of TrainConfig; those that are not advanced are in `--help`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for field in reversed(fields(TrainConfig)):
            command = click.option(
                f"--{flag(field)}",
                field.name,
                type=Hyperparameter(field, ranges),
                help=f"{field.metadata['means']}  [default: {field.default}]",
                hidden=field.metadata["advanced"],
            )(command)
        return click.option(
            "--help-advanced",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_advanced,
            help="Show the advanced hyperparameters too.",
        )(command)

    return decorate


def _show_advanced(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    hidden = [
        option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option.hidden and option.name in HYPERPARAMETERS
    ]
    for option in hidden:
        option.hidden = False
    page = ctx.command.get_help(ctx)
    for option in hidden:  # the command outlives this page
        option.hidden = True
    click.echo(page)
    ctx.exit()


def set_hyperparameters(options: Mapping[str, Any]) -> dict[str, str]:
    """The hyperparameters that were given, by the names that a training job reads."""
    return {
        flag(field): options[field.name]
        for field in fields(TrainConfig)
        if options.get(field.name) is not None
    }


def stage_option(required: bool = False, default: str = "local") -> Decorator:
    """`--stage`; `required` where a forgotten one would act on the wrong stage."""
    attributes: dict[str, Any] = {"required": True}
    if not required:
        attributes = {"default": default, "show_default": True}
    return click.option(
        "--stage",
        metavar="NAME",
        **attributes,
        callback=_stage,
        help="The stage: `local` is the cloud on this machine; any other is in your AWS account.",
    )


IMAGE = click.option(
    "--image",
    metavar="URI",
    help="The container image, by digest.  [default: the one built from these sources]",
)


def _stage(ctx: click.Context, param: click.Parameter, value: str) -> Any:
    from infra.stage import Stage, StageError

    try:
        return Stage(value)
    except StageError as error:
        raise click.BadParameter(f"{error}.", ctx, param) from error


class WithSettings(Command):
    """A command with an option for each of the `params` in serverless.yml."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*own[:-1], *_settings(), own[-1]]  # --help stays last


def _settings() -> list[click.Parameter]:
    from infra.stacks import stage_parameters

    template = REPOSITORY / "serverless.yml"
    meanings = stage_parameters.meanings(template)
    return [
        click.Option(
            [f"--{option_name(name)}", name],
            type=int if isinstance(default, int) else str,
            metavar="NUMBER" if isinstance(default, int) else "TEXT",
            help=f"{meanings.get(name, '')}  [default: {default if default != '' else 'none'}]",
        )
        for name, default in stage_parameters.params(template, "default").items()
    ]


def option_name(parameter: str) -> str:
    """`folderQuietSeconds` as an option: `folder-quiet-seconds`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", parameter).lower()


def folder_or_address(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.startswith("s3://") and not Path(value).is_dir():
        raise click.BadParameter(f"{value!r} is no folder here, and no s3:// address.", ctx, param)
    return value
