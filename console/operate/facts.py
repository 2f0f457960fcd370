"""What is known of a stage's operation. A part that cannot be read says why, and hides no other."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from console.context import Console
from domain.errors import SortboxError
from infra.diagnostics import findings
from infra.diagnostics.catalog import Row
from infra.diagnostics.cost import TYPICAL, Assumptions, Load, Month, Prices, load_prices, month
from infra.diagnostics.findings import DEAD_LETTERS, StatusFinding
from infra.sentences import explain
from training.launch.live_jobs import LIVE_STATES

SHOWN_ALARMS = 100
SHOWN_JOBS = 50
IMAGES_PER_DAY = 1000
MAX_IMAGES_PER_DAY = 10**9
DEAD = " dead letters"


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the page shows, or why it cannot be read."""

    rows: list[Any] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetters:
    queue: str
    messages: int


@dataclass(frozen=True, slots=True)
class Alarm:
    name: str
    state: str
    """OK, ALARM or INSUFFICIENT_DATA."""
    means: str


@dataclass(frozen=True, slots=True)
class Operation:
    """What the page of operation is made from."""

    console: Console
    cloudwatch: Any
    """boto3's client."""

    @classmethod
    def of(cls, console: Console) -> "Operation":
        region = console.bucket.client.meta.region_name
        return cls(console, boto3.client("cloudwatch", region_name=region))

    def parts(self) -> dict[str, Part]:
        """Some fifteen requests."""
        reads = (
            lambda: findings.of_queues(self.console.sources),
            self._stage,
            self._alarms,
            self._jobs,
        )
        with ThreadPoolExecutor(len(reads)) as pool:  # without a cloud, each takes seconds
            queues, stage, alarms, jobs = pool.map(_read, reads)
        return {
            "stage": stage,
            "queues": Part([one for one in queues.rows if _dead(one) is None], queues.problem),
            "dead": Part([dead for one in queues.rows if (dead := _dead(one))], queues.problem),
            "alarms": alarms,
            "jobs": jobs,
        }

    def _stage(self) -> Iterator[StatusFinding]:
        sources = self.console.sources
        yield findings.of_model(findings.active(sources))
        yield findings.of_endpoint(sources)
        yield from findings.of_open_runs(sources)
        yield from findings.of_jobs(sources)

    def _alarms(self) -> Iterator[Alarm]:
        """Those that ring first."""
        pages = self.cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=self.console.stage.prefix
        )
        alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
        alarms.sort(key=lambda alarm: (alarm["StateValue"] != "ALARM", alarm["AlarmName"]))
        for alarm in islice(alarms, SHOWN_ALARMS):
            means = alarm.get("AlarmDescription") or alarm.get("StateReason", "")
            yield Alarm(alarm["AlarmName"], alarm["StateValue"], means)

    def _jobs(self) -> Iterator[Row]:
        """Training jobs and searches that run, and transform jobs."""
        console = self.console
        yield from (row for row in console.catalog.rows("jobs")[0] if row["status"] in LIVE_STATES)
        pages = console.sagemaker.get_paginator("list_transform_jobs").paginate(
            NameContains=console.stage.prefix, StatusEquals="InProgress"
        )
        jobs = (job for page in pages for job in page["TransformJobSummaries"])
        ours = (job for job in jobs if job["TransformJobName"].startswith(console.stage.prefix))
        for job in islice(ours, SHOWN_JOBS):
            yield {
                "job": job["TransformJobName"],
                "kind": "transform",
                "status": job["TransformJobStatus"],
            }


def monthly_cost(console: Console, images_per_day: int) -> tuple[Month, Prices]:
    """What a month costs by each route, by the price table."""
    prices = load_prices()
    assumptions = Assumptions(instance=console.stage.endpoint_instance_type, rate=TYPICAL.rate)
    return month(prices, Load(images_per_day, 1), assumptions), prices


def _dead(finding: StatusFinding) -> DeadLetters | None:
    """The dead letters that a finding about queues is about; None for one about a queue."""
    name = finding.about.removesuffix(DEAD)
    if name == finding.about or name not in DEAD_LETTERS:
        return None
    return DeadLetters(name, finding.facts["messages"])


def _read(rows: Callable[[], Iterator[Any]]) -> Part:
    try:
        return Part(list(rows()))
    except (ClientError, BotoCoreError, SortboxError) as error:
        return Part(problem=explain(error) or str(error))
