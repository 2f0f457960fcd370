"""The acceptance run: verify."""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.commands.answers import confirm
from cli.commands.local import pack_bundled_model
from cli.costs import COST, announce
from cli.environment import require_training
from cli.errors import FAILED, INTERRUPTED, REFUSED
from cli.output import say
from cli.parameters import Choice, Command, stage_option
from cli.stages import LOCAL, connect, image_of
from domain.errors import SortboxError
from infra.local import accounts
from infra.local.place import VARIABLE, Place
from infra.sentences import explain

if TYPE_CHECKING:
    from infra.diagnostics.cost import Prices
    from infra.diagnostics.most_cost import MostCost
    from infra.shipped import Variant
    from infra.stage import Stage
    from infra.verify.report import Report
    from infra.verify.state import RunState, StateFile
    from infra.verify.step import Site, Step


class VerifyError(SortboxError):
    """A sentence for the person who verifies."""


class VerifyInterrupted(VerifyError):
    """The run can be resumed."""

    exit_code = INTERRUPTED


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    out: Path
    keep: bool
    yes: bool


@click.command(cls=Command)
@stage_option(default="verify")
@click.option(
    "--account",
    type=Choice(accounts.names()),
    help="With --stage local: the quotas of the cloud.  [default: established]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/verify"),
    show_default=True,
    help="The folder for verify.html and verify.json.",
)
@click.option("--keep", is_flag=True, help="Leave the stage as it is at the end.")
@click.option("--yes", is_flag=True, help="Start without asking.")
@COST
def verify(
    stage: "Stage", account: str | None, out: Path, keep: bool, yes: bool, cost: str | None
) -> None:
    """Prove the whole system in your account: a stage of its own, made, used and removed.

    Before it starts it says what it makes, how long it takes and what it costs at most. Running the
    same command again resumes an interrupted run. The report names no account and can be attached
    to an issue. `--stage local` does the same in a local cloud of its own.

    Exit code 3: a step failed.
    """
    if account and stage.name != LOCAL:
        raise click.UsageError("--account goes with --stage local.")
    require_training()
    if cost is not None:
        announce(stage, most_cost(stage), cost)
    folder = Place.named(os.environ).root / "verify" / stage.name
    options = VerifyOptions(out.absolute(), keep, yes)
    if stage.name != LOCAL:
        connect(stage)
        sys.exit(_verify(stage, folder, options))
    with _own_cloud(stage, folder / "cloud", account, keep):
        code = _verify(stage, folder, options)
    sys.exit(code)


@contextmanager
def _own_cloud(stage: "Stage", root: Path, account: str | None, keep: bool) -> Iterator[None]:
    """Empty, and gone at the end; after Ctrl-C, or with `keep`, only down."""
    from infra.local import cloud

    place = Place(root.resolve())
    os.environ[VARIABLE] = str(place.root)
    cloud.up(place, say, kind=account, is_empty=True)
    connect(stage)
    os.environ["SLS_AWS_MONITORING_FREQUENCY"] = "200"  # a stack stands in less than a second here
    is_over = False
    try:
        yield
        is_over = not keep
    finally:
        cloud.down(place, say)
        if is_over:
            shutil.rmtree(place.root)


def _verify(stage: "Stage", folder: Path, options: VerifyOptions) -> int:
    """The exit code."""
    import boto3

    from cli.step_lines import StepLines, only_on_console
    from infra.diagnostics.cost import load_prices
    from infra.verify import redaction, report, stage_steps
    from infra.verify.calls import start_recording
    from infra.verify.runner import Runner
    from infra.verify.state import StateFile
    from infra.verify.step import Site

    session: Any = boto3.Session()
    state_file, is_local = StateFile(folder / "state.json"), stage.name == LOCAL
    state = state_file.read(_where(session))
    recorder = start_recording(state.operations)
    poll = 0.5 if is_local else 5.0
    site = Site(stage, session.client, _images(stage), pack_bundled_model, folder / "scratch", poll)
    state = stage_steps.resume(site, state)
    steps, prices = acceptance_steps(state), load_prices()
    for line in announcement(stage, steps, prices):
        say(line)
    if state.passed:
        say(f"Resuming; passed before: {', '.join(state.passed)}.")
    if not options.yes and not confirm("Start?"):
        raise VerifyError("Not started: nothing was made.")

    def save(now: "RunState") -> None:
        state_file.write(replace(now, operations=tuple(sorted(recorder.operations))))

    state = replace(state, is_ours=True)
    save(state)
    clean_ups = [] if options.keep else stage_steps.clean_ups(state.run)
    log = folder / "verify.log"
    try:
        with only_on_console(log) as console:
            lines = StepLines(console)
            runner = Runner(site, lines, explain, save, partial(_forget, state_file, site))
            results, cleaned = runner.run_and_clean_up(steps, clean_ups, state)
    except KeyboardInterrupt:
        raise VerifyInterrupted(_interrupted(stage, prices)) from None
    place = "the local cloud" if is_local else f"AWS, {session.region_name}"
    kind = stage.endpoint_instance_type
    operations = recorder.operations
    done = report.Report(place, not is_local, kind, steps, results, cleaned, operations)
    for path in report.write(done, prices, redaction.of_credentials(session), options.out):
        say(str(path))
    if options.keep:
        say(
            f"Stage {stage.name} stays, and its endpoint bills; the same command without --keep "
            "removes it."
        )
    return _conclude(done, log)


def _forget(state_file: "StateFile", site: "Site") -> None:
    state_file.delete()
    shutil.rmtree(site.folder, ignore_errors=True)


def announcement(stage: "Stage", steps: "list[Step]", prices: "Prices") -> Iterator[str]:
    """What the run makes, takes and costs. Raises TooExpensiveError."""
    from infra.verify import estimate

    kind = stage.endpoint_instance_type
    yield f"Verifies Sortbox in a stage of its own, {stage.name}, which it removes at the end."
    yield (
        "It makes two stacks (a bucket, queues, functions, alarms), an endpoint on "
        f"{kind}, Batch Transform jobs and a training job; and in the stack sortbox-image, which "
        "stays for other stages, two container images where they are missing."
    )
    if stage.name == LOCAL:
        yield "In a local cloud of its own it takes two to four minutes and costs nothing."
        return
    most = estimate.most(prices, steps, kind)
    yield (
        f"It takes about {estimate.minutes(steps):.0f} minutes and costs about {prices.currency} "
        f"{estimate.typical(prices, steps, kind):.2f}, at most {most:.2f} ({prices.source})."
    )


def most_cost(stage: "Stage") -> "MostCost":
    """Of a whole run, one that resumes included. Raises TooExpensiveError."""
    from infra.diagnostics.cost import load_prices
    from infra.diagnostics.most_cost import MostCost
    from infra.verify import estimate
    from infra.verify.state import RunState

    prices = load_prices()
    most = estimate.most(prices, acceptance_steps(RunState("", "")), stage.endpoint_instance_type)
    sentence = f"An acceptance run costs at most {prices.currency} {most:.2f} ({prices.source})."
    return MostCost(sentence, prices.currency, prices.source, most)


def _where(session: Any) -> str:
    """Tells accounts and regions apart without naming them."""
    account = session.client("sts").get_caller_identity()["Account"]
    return hashlib.sha256(f"{account} {session.region_name}".encode()).hexdigest()[:16]


def _images(stage: "Stage") -> "Callable[[Variant], str]":
    def image_for(variant: "Variant") -> str:
        if stage.name == LOCAL:
            return image_of(stage, variant)
        from infra.stacks.image import current

        return current(stage, variant, build_missing=True)

    return image_for


def acceptance_steps(state: "RunState") -> "list[Step]":
    from infra.verify import account_steps, answer_steps, model_steps, stage_steps
    from training.launch import acceptance

    return [
        *account_steps.steps(),
        *stage_steps.steps(state),
        *answer_steps.steps(),
        *acceptance.steps(),
        answer_steps.reclassification(),
        model_steps.rollback_step(),
        model_steps.alarms_step(),
    ]


def _interrupted(stage: "Stage", prices: "Prices") -> str:
    sentence = "Interrupted. The same command resumes."
    if stage.name == LOCAL:
        return sentence
    hour = prices.hour(stage.endpoint_instance_type)
    return (
        f"{sentence} Until then the endpoint costs {prices.currency} {hour:.2f} an hour; "
        f"`./sortbox remove --stage {stage.name} --bucket delete` removes everything."
    )


def _conclude(report: "Report", log: Path) -> int:
    for result in (*report.results, *report.clean_up):
        if result.state == "failed":
            say(f"{result.name}: {result.observed}")
    if report.has_passed:
        say("Everything passed.")
        return 0
    say(f"What the steps printed is in {log}.")
    is_left = any(result.state == "failed" for result in report.clean_up)
    return FAILED if is_left else REFUSED
