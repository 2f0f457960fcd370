"""Reclassification by batch: estimate it, start it, stop it or end it.

The estimate uses the run's own planning code and the deployed settings, so that it counts what the
run will do.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from aws.errors import is_missing
from batch import claim, status
from batch.claim import ContendedError, Run, RunClosedError
from batch.context import Context, TransformResources
from batch.jobs import slots, transform
from batch.planning.listing import Reason
from batch.planning.plan import divide
from batch.planning.slice import ViaTransform
from batch.planning.walk import Walk
from domain import timestamps
from domain.errors import SortboxError
from domain.keys import INBOX
from domain.scope import RECLASSIFICATION, Kind, Scope
from functions import on_folder
from functions.messages import Reclassify, to_json
from functions.settings import OnFolder, from_env
from infra import interrupt
from infra.diagnostics import cost
from infra.diagnostics.cost import TYPICAL, Assumptions, Prices
from infra.stage import Stage, StageError

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

HEADS_AT_ONCE = 32


class ReclassifyError(SortboxError):
    """The reclassification cannot be planned, started or changed; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reclassification of `scope` would do now.

    `at_once`: the most of its jobs that run concurrently; `slots`: the most concurrent jobs of the
    stage, of all runs together; `in_line`: how many runs already wait for a slot.
    """

    scope: Scope
    model: str
    images: int
    reasons: Counter[Reason]
    jobs: int
    hours: float
    cost: float
    prices: Prices
    confirm_above: int
    slots: int
    at_once: int
    in_line: int
    resources: TransformResources

    @property
    def stale(self) -> int:
        return self.reasons.total()

    @property
    def is_large(self) -> bool:
        return self.stale > self.confirm_above

    @property
    def most_cost(self) -> float:
        """If each image takes its whole time and every retry, one after another: SageMaker ends no
        transform job before.
        """
        if not self.jobs:
            return self.cost
        attempts = 1 + transform.INVOCATION_RETRIES
        hours = self.stale * attempts * transform.INVOCATION_SECONDS / 3600
        resources = self.resources
        return self.cost + hours * resources.count * self.prices.hour(resources.type)

    @property
    def document(self) -> dict[str, Any]:
        return {
            "prefix": INBOX + self.scope.path,
            "model": self.model,
            "images": self.images,
            "stale": self.stale,
            "reasons": dict(self.reasons),
            "jobs": self.jobs,
            "instance_hours": round(self.hours, 4),
            "typical": round(self.cost, 4),
            "most": round(self.most_cost, 4),
            "currency": self.prices.currency,
            "prices": self.prices.source,
        }

    @property
    def _pace(self) -> str:
        if not self.jobs:
            return ""
        line = f", {self.in_line:,} runs in line before it" if self.in_line else ""
        return f" (at most {self.at_once:,} at once, of the stage's {self.slots:,}{line})"

    def __str__(self) -> str:
        few = ", because the endpoint takes so few" if self.stale and not self.jobs else self._pace
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.most_common())
        return "\n".join(
            [
                f"{INBOX}{self.scope.path}: {self.images:,} images, {self.stale:,} to be answered"
                f"{f' ({why})' if why else ''}, by {self.model}",
                f"{self.jobs:,} transform job{'' if self.jobs == 1 else 's'}{few}, "
                f"{self.hours:,.2f} instance-hours, about "
                f"{self.cost:,.2f} {self.prices.currency} ({self.prices.source}); "
                f"at most {self.most_cost:,.2f}, if every image took its longest",
            ]
        )


@dataclass(frozen=True, slots=True)
class Reclassifier:
    """Plans and starts reclassifications with the settings of the deployed folder function."""

    context: Context
    sqs: "SQSClient"
    folder_queue_url: str

    @classmethod
    def of(cls, stage: Stage) -> "Reclassifier":
        """Read the settings of the deployed function. Raises StageError if the stage is not
        deployed.
        """
        function = f"{stage.stack}-onFolder"
        try:
            deployed = boto3.client("lambda").get_function_configuration(FunctionName=function)
        except ClientError as error:
            if not is_missing(error):
                raise
            raise StageError(f"stage {stage.name} is not deployed here: {error}") from error
        settings = from_env(OnFolder, deployed["Environment"]["Variables"])
        many = Config(max_pool_connections=HEADS_AT_ONCE)
        sqs = boto3.client("sqs")
        context = on_folder.make_context(
            settings,
            boto3.client("s3", config=many),
            sqs,
            boto3.client("sagemaker"),
            boto3.client("sagemaker-runtime"),
            boto3.client("events"),
        )
        bounds = replace(context.limits, heads_at_once=HEADS_AT_ONCE)
        return cls(replace(context, limits=bounds), sqs, settings.folder_queue_url)

    def plan(self, scope: Scope, table: Prices, assumptions: Assumptions) -> Plan:
        """Estimate a reclassification of `scope`.

        Lists every object below the scope and reads one result per image, which takes minutes for a
        million images.
        """
        active = self.context.active_model()
        model = str(active.id)
        most_late = self.context.endpoint_max_late if active.mode == "instance" else 0
        reasons: Counter[Reason] = Counter()
        images, jobs, after, is_last = 0, 0, "", False
        while not is_last:
            walk = Walk(
                self.context, scope, model if scope.kind == "renewal" else None, after
            ).run()
            after, is_last = walk.cursor, walk.last
            images += walk.images
            reasons += walk.reasons
            jobs += _jobs(walk, most_late)
        takes = cost.sweep(table, images, reasons.total(), jobs, assumptions)
        return Plan(
            scope,
            model,
            images,
            reasons,
            jobs,
            takes.hours,
            takes.cost,
            table,
            self.context.confirm_above,
            self.context.jobs_at_once,
            min(jobs, self.context.reclassify_jobs, self.context.jobs_at_once),
            len(slots.waiting(self.context.bucket, self.context.now(), self.context.limits)),
            self.context.resources,
        )

    def start(self, scope: Scope) -> None:
        """Queue the reclassification as a schedule does, marked as confirmed by the user."""
        message = to_json(Reclassify(scope.path, scope.kind, confirmed=True))
        self.sqs.send_message(QueueUrl=self.folder_queue_url, MessageBody=message)
        interrupt.leaves(
            "reclassification",
            "The reclassification goes on: `./sortbox status` shows how far it is, `./sortbox "
            "reclassify --stop` stops it.",
        )

    def stop(self) -> Run | None:
        """Pause the reclassification: running jobs finish, and no more are planned. None if there
        is none.
        """
        return claim.change(
            self.context.bucket, RECLASSIFICATION, lambda run: replace(run, paused=True)
        )

    def end(self) -> Run | None:
        """Give up the reclassification; None if there is none. Raises ReclassifyError.

        Results that exist are kept. The remaining images are left to the next reclassification.
        """
        claimed = claim.read(self.context.bucket, RECLASSIFICATION)
        if claimed is None:
            return None
        try:
            now = timestamps.to_text(self.context.now())
            status.write(self.context.bucket, claimed.run, "given up", now)
            claim.close(self.context, claimed.run)
        except (RunClosedError, ContendedError) as error:
            raise ReclassifyError("it changed at this very moment; try again") from error
        return claimed.run


def _jobs(walk: Walk, most_late: int) -> int:
    groups = divide(walk.rows, most_late if walk.last else 0)
    return sum(isinstance(road, ViaTransform) for road, _ in groups)


def scope_of(prefix: str, kind: Kind = "renewal") -> Scope:
    """The scope of a prefix. Raises ReclassifyError if it is not a prefix of the inbox."""
    if prefix and not (prefix + "/").startswith(INBOX):
        raise ReclassifyError(f"a prefix begins with {INBOX}, as {INBOX}trip/ does: {prefix!r}")
    return Scope(prefix.removeprefix(INBOX.rstrip("/")).removeprefix("/"), kind)


@dataclass(frozen=True, slots=True)
class ReclassifyRequest:
    """The options of `./sortbox reclassify`."""

    prefix: str = INBOX
    kind: Kind = "renewal"
    rate: float = TYPICAL.rate
    dry_run: bool = False
    yes: bool = False
    stop: bool = False
    end: bool = False


def run(
    desk: Reclassifier, request: ReclassifyRequest, confirm: Callable[[str], bool]
) -> Iterator[str]:
    """Yield the lines to print. Raises ReclassifyError."""
    if request.stop or request.end:
        yield _halt(desk, request)
        return
    plan = make_plan(desk, request)
    yield str(plan)
    if plan.images == 0:
        yield "There are no images below this prefix."
    elif request.dry_run:
        yield "Dry run: nothing was started."
    elif plan.stale == 0 and claim.read(desk.context.bucket, RECLASSIFICATION) is None:
        yield "Everything is up to date."
    elif (
        plan.is_large
        and not request.yes
        and not confirm(f"More than {plan.confirm_above:,}. Start?")
    ):
        raise ReclassifyError("Not started. Pass --yes to start it without asking.")
    else:
        desk.start(plan.scope)
        yield "Started. `./sortbox status` shows how far it is."


def make_plan(desk: Reclassifier, request: ReclassifyRequest) -> Plan:
    assumptions = Assumptions(instance=desk.context.resources.type, rate=request.rate)
    return desk.plan(scope_of(request.prefix, request.kind), cost.load_prices(), assumptions)


def _halt(desk: Reclassifier, request: ReclassifyRequest) -> str:
    run = desk.end() if request.end else desk.stop()
    if run is None:
        raise ReclassifyError("no reclassification is under way")
    outcome = (
        "has ended"
        if request.end
        else "stops after what runs now; `./sortbox reclassify` resumes it"
    )
    return f"The reclassification of {INBOX}{run.path} {outcome}."
