"""What a month costs, road by road, and where one road becomes cheaper than another.

Every figure follows from `infra/diagnostics/prices.json` and the assumptions below, which options
change: put in what `make bench` or a finished run's `_status.json` says about your model.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import ceil
from pathlib import Path

from domain.errors import SortboxError

TABLE = Path(__file__).with_name("prices.json")


class PriceError(SortboxError, ValueError):
    """A sentence for the person who edits the table, or asks for what it does not hold."""


@dataclass(frozen=True, slots=True)
class Prices:
    """In `currency`, for `region`, as of a day; the units are in the fields' names."""

    region: str
    currency: str
    as_of: str
    note: str
    instance_hour: Mapping[str, float]
    serverless_gb_second: float
    hosting_gb: float
    s3_put_or_list_per_1000: float
    s3_get_or_head_per_1000: float
    lambda_gb_second: float
    lambda_request_per_million: float
    sqs_request_per_million: float
    ecr_gb_month: float
    logs_gb_month: float
    build_minute: float
    """Of CodeBuild, on the machine that infra/stacks/image.yml names."""

    def hour(self, instance_type: str) -> float:
        """Hosting, Batch Transform and training cost the same for the types that are listed."""
        try:
            return self.instance_hour[instance_type]
        except KeyError:
            types = ", ".join(sorted(self.instance_hour))
            raise PriceError(
                f"{TABLE.name} has no price for {instance_type}: add one (it has {types})"
            ) from None

    @property
    def source(self) -> str:
        return f"{self.region}, {self.as_of}, {TABLE.name}"


def load_prices(table: Path = TABLE) -> Prices:
    try:
        document = json.loads(table.read_text())
    except ValueError as error:
        raise PriceError(f"{table} is not JSON: {error}") from error
    names = {field.name for field in fields(Prices)}
    if not isinstance(document, dict) or document.keys() != names:
        raise PriceError(f"{table} must hold exactly: {', '.join(sorted(names))}")
    return Prices(**document)


DAYS_PER_MONTH = 365 / 12
HOURS_PER_MONTH = 24 * DAYS_PER_MONTH


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Seconds, gigabytes and images a second, of one instance where they depend on one."""

    instance: str = "ml.m5.xlarge"
    rate: float = 50
    job_start_seconds: float = 240
    image_gb: float = 0.0002
    headroom: float = 2
    """An endpoint is made this many times as large as the day's average needs."""
    serverless_gb: float = 4
    serverless_seconds: float = 0.1
    cooldown_seconds: float = 900
    """So long an asynchronous endpoint stays up after its last image, before it scales to zero."""


TYPICAL = Assumptions()


@dataclass(frozen=True, slots=True)
class Load:
    """Images come in folders of `folder_size`; 1 where each comes alone."""

    images_per_day: int
    folder_size: int

    @property
    def images(self) -> float:
        """In a month."""
        return self.images_per_day * DAYS_PER_MONTH

    @property
    def folders_per_day(self) -> int:
        return ceil(self.images_per_day / self.folder_size)


@dataclass(frozen=True, slots=True)
class Month:
    """What each road costs in a month."""

    endpoint: float
    batch: float
    serverless: float
    asynchronous: float


@dataclass(frozen=True, slots=True)
class ReclassificationCost:
    """What a reclassification takes. `hours` are instance-hours."""

    hours: float
    cost: float


def month(prices: Prices, load: Load, assumptions: Assumptions) -> Month:
    hour = prices.hour(assumptions.instance)
    carried = load.images * assumptions.image_gb * prices.hosting_gb
    seconds = load.images * assumptions.serverless_seconds * assumptions.serverless_gb
    return Month(
        endpoint=instances(load, assumptions) * HOURS_PER_MONTH * hour + carried,
        batch=batch_hours(load, assumptions) * hour + load.images * _output(prices),
        serverless=seconds * prices.serverless_gb_second + carried,
        asynchronous=_hours_awake(load, assumptions) * hour
        + carried
        + load.images * _output(prices),
    )


def instances(load: Load, assumptions: Assumptions) -> int:
    """Of the endpoint."""
    return max(1, ceil(load.images_per_day * assumptions.headroom / (assumptions.rate * 24 * 3600)))


def batch_hours(load: Load, assumptions: Assumptions) -> float:
    """Each folder is a job, and each job waits for its machine, which is billed from its start."""
    a_day = (
        load.folders_per_day * assumptions.job_start_seconds
        + load.images_per_day / assumptions.rate
    )
    return a_day * DAYS_PER_MONTH / 3600


def _hours_awake(load: Load, assumptions: Assumptions) -> float:
    """Each folder wakes it; never more than one instance all day unless the load needs more."""
    work = load.images_per_day / assumptions.rate
    a_day = (
        load.folders_per_day * (assumptions.job_start_seconds + assumptions.cooldown_seconds) + work
    )
    return max(min(a_day, 24 * 3600), work) * DAYS_PER_MONTH / 3600


def _output(prices: Prices) -> float:
    """Batch and asynchronous answers go through S3: written and read once more."""
    return (prices.s3_put_or_list_per_1000 + prices.s3_get_or_head_per_1000) / 1000


def break_even(prices: Prices, folder_size: int, assumptions: Assumptions) -> float:
    """Images a day from which one endpoint instance is cheaper than a job a folder."""
    hour = prices.hour(assumptions.instance)
    seconds = assumptions.job_start_seconds / folder_size + 1 / assumptions.rate
    an_image = seconds / 3600 * hour + _output(prices) - assumptions.image_gb * prices.hosting_gb
    return HOURS_PER_MONTH * hour / DAYS_PER_MONTH / an_image


def break_even_serverless(prices: Prices, assumptions: Assumptions) -> float:
    """Images a day from which one endpoint instance is cheaper than serverless inference."""
    an_image = (
        assumptions.serverless_seconds * assumptions.serverless_gb * prices.serverless_gb_second
    )
    return HOURS_PER_MONTH * prices.hour(assumptions.instance) / DAYS_PER_MONTH / an_image


def sweep(
    prices: Prices, looked_at: int, stale: int, jobs: int, assumptions: Assumptions
) -> ReclassificationCost:
    """`looked_at` images are listed and HEADed twice: to plan, and to see that nothing is left.

    Of each stale one the job reads the image and writes an output; collecting reads that and the
    answer before, looks at the result once and at the image twice, and writes the new answer.
    """
    hours = (jobs * assumptions.job_start_seconds + stale / assumptions.rate) / 3600
    heads = 2 * looked_at + 6 * stale
    puts = 2 * stale + 2 * 2 * looked_at / 1000
    requests = heads * prices.s3_get_or_head_per_1000 + puts * prices.s3_put_or_list_per_1000
    return ReclassificationCost(hours, hours * prices.hour(assumptions.instance) + requests / 1000)


def late(assumptions: Assumptions) -> int:
    """`endpointMaxLate`: as many as the endpoint answers while a job's machine would start.

    A quarter of its speed, because singles come first.
    """
    return min(10_000, max(1, int(assumptions.job_start_seconds * assumptions.rate / 4)))


def without_jobs(prices: Prices, load: Load, assumptions: Assumptions) -> float:
    """What a month costs less if such folders go through an endpoint that is up for singles anyway.

    `endpointMaxFirst` does that for folders of so many images: no job starts, and none is awaited.
    """
    carried = load.images * assumptions.image_gb * prices.hosting_gb
    return month(prices, load, assumptions).batch - carried


def machines(load: Load, assumptions: Assumptions) -> int:
    """`transformInstanceCount` with which a folder is done an hour after its machines are up."""
    return max(1, min(100, ceil(load.folder_size / assumptions.rate / 3600)))


def lines(prices: Prices, load: Load, assumptions: Assumptions) -> Iterator[str]:
    costs = month(prices, load, assumptions)
    yield f"{load.images_per_day:,} images a day, in folders of {load.folder_size:,}"
    yield (
        f"assumed: {assumptions.instance} answers {assumptions.rate:g} images/s and is up in "
        f"{assumptions.job_start_seconds:g} s; {assumptions.image_gb * 1e6:g} KB an image; "
        f"serverless takes {assumptions.serverless_seconds:g} s an image with "
        f"{assumptions.serverless_gb:g} GB"
    )
    yield f"prices: {prices.source}; {prices.note}"
    yield ""
    yield f"a month on        {prices.currency}"
    for name in ("endpoint", "batch", "serverless", "asynchronous"):
        yield f"  {name:<14}{getattr(costs, name):>12,.2f}"
    even = break_even(prices, load.folder_size, assumptions)
    yield ""
    yield f"An endpoint is cheaper than batch from {even:,.0f} images a day on in such folders,"
    yield f"and cheaper than serverless from {break_even_serverless(prices, assumptions):,.0f} on."
    saved, wait = without_jobs(prices, load, assumptions), assumptions.job_start_seconds
    first = f"endpointMaxFirst: {load.folder_size} saves {saved:,.2f} a month"
    yield f"{first} where an endpoint is up for"
    yield f"singles and has time for them, and {wait:g} s of waiting a folder."
    yield ""
    yield "Settings that follow (serverless.yml, params):"
    yield f"  endpointMaxLate: {late(assumptions)}"
    yield f"  transformInstanceCount: {machines(load, assumptions)}"
    yield f"  endpoint instances: {instances(load, assumptions)}"
