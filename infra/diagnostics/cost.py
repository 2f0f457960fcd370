"""What a month costs by each route, and the load from which one route is cheaper than another.

All figures are computed from `infra/diagnostics/prices.json` and the assumptions below, which
options change: enter the figures that `make bench` or the `_status.json` of a finished run reports
for your model.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import ceil
from pathlib import Path
from typing import Any

from domain.errors import SortboxError

TABLE = Path(__file__).with_name("prices.json")


class PriceError(SortboxError, ValueError):
    """The price table is invalid, or lacks a requested price; the message is for the user."""


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A price in the table's currency, the day for which it was true, and where it is from."""

    price: float
    as_of: str
    source: str


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in `currency` for `region`. The field names contain the units."""

    region: str
    currency: str
    as_of: str
    """The day of the oldest line."""
    note: str
    lines: Mapping[str, PriceLine]
    """Every price by the name of its field; an instance hour by its instance type."""
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
    """CodeBuild's price of a minute, on the machine type in infra/stacks/image.yml."""

    def hour(self, instance_type: str) -> float:
        """The price of an instance hour. Hosting, Batch Transform and training cost the same for
        the listed types.
        """
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


HEADER = ("region", "currency", "note", "sources")
"""The fields of the table that are no prices. `sources` describes the sources of its lines."""


def load_prices(table: Path = TABLE) -> Prices:
    """Raises PriceError for a table that was edited into something else."""
    try:
        document = json.loads(table.read_text())
    except ValueError as error:
        raise PriceError(f"{table} is not JSON: {error}") from error
    derived = {"as_of", "lines"}
    priced = [field.name for field in fields(Prices) if field.name not in {*HEADER, *derived}]
    names = {*HEADER, *priced}
    if not isinstance(document, dict) or document.keys() != names:
        raise PriceError(f"{table} must hold exactly: {', '.join(sorted(names))}")
    hours = document["instance_hour"]
    stored = {name: document[name] for name in priced if name != "instance_hour"}
    lines = {
        name: _line(table, name, line, document["sources"])
        for name, line in (hours | stored).items()
    }
    amounts: dict[str, Any] = {name: lines[name].price for name in stored}
    return Prices(
        region=document["region"],
        currency=document["currency"],
        note=document["note"],
        as_of=min(line.as_of for line in lines.values()),
        lines=lines,
        instance_hour={name: lines[name].price for name in hours},
        **amounts,
    )


def _line(table: Path, name: str, line: Any, sources: Mapping[str, str]) -> PriceLine:
    try:
        is_right = line.keys() == {"price", "as_of", "source"} and line["price"] > 0
        is_right = is_right and re.fullmatch(r"\d{4}-\d{2}-\d{2}", line["as_of"]) is not None
        read = PriceLine(float(line["price"]), line["as_of"], sources[line["source"]])
    except (AttributeError, KeyError, TypeError, ValueError):
        is_right = False
    if not is_right:
        raise PriceError(
            f"{table}: the line of {name} must hold a price above 0, a date as_of such as "
            f"2026-11-29, and a source of {', '.join(sources)}"
        )
    return read


DAYS_PER_MONTH = 365 / 12
HOURS_PER_MONTH = 24 * DAYS_PER_MONTH


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Assumed durations in seconds, sizes in gigabytes and rates in images a second, of one
    instance.
    """

    instance: str = "ml.m5.xlarge"
    rate: float = 50
    job_start_seconds: float = 240
    image_gb: float = 0.0002
    headroom: float = 2
    """The factor between the endpoint's capacity and the average load of a day."""
    serverless_gb: float = 4
    serverless_seconds: float = 0.1
    cooldown_seconds: float = 900
    """How long an asynchronous endpoint stays up after its last image, before it scales to zero."""
    gather_seconds: float = 900
    """`singlesGatherSeconds`, in mode none."""


TYPICAL = Assumptions()


@dataclass(frozen=True, slots=True)
class Load:
    """Images arrive in folders of `folder_size`; 1 if each arrives alone."""

    images_per_day: int
    folder_size: int

    @property
    def images(self) -> float:
        """Images a month."""
        return self.images_per_day * DAYS_PER_MONTH

    @property
    def folders_per_day(self) -> int:
        return ceil(self.images_per_day / self.folder_size)


@dataclass(frozen=True, slots=True)
class Month:
    """The monthly cost by each route. `endpoint`, `serverless` and `gathered` are singles in the
    modes instance, serverless and none.
    """

    endpoint: float
    batch: float
    serverless: float
    asynchronous: float
    gathered: float


@dataclass(frozen=True, slots=True)
class ReclassificationCost:
    """The cost of a reclassification. `hours` are instance hours."""

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
        gathered=gathered_hours(load, assumptions) * hour + load.images * _gathered(prices),
    )


def instances(load: Load, assumptions: Assumptions) -> int:
    """The number of endpoint instances for the load."""
    return max(1, ceil(load.images_per_day * assumptions.headroom / (assumptions.rate * 24 * 3600)))


def batch_hours(load: Load, assumptions: Assumptions) -> float:
    """Instance hours a month. Each folder is a job, whose machine is billed while it
    starts, too.
    """
    a_day = (
        load.folders_per_day * assumptions.job_start_seconds
        + load.images_per_day / assumptions.rate
    )
    return a_day * DAYS_PER_MONTH / 3600


def jobs_of_singles(images_per_day: float, assumptions: Assumptions) -> float:
    """Jobs a day in mode none: of singles that arrive evenly, at most one each gathering time."""
    return min(images_per_day, 24 * 3600 / assumptions.gather_seconds)


def gathered_hours(load: Load, assumptions: Assumptions) -> float:
    """Instance hours a month of jobs of singles, in mode none."""
    starts = jobs_of_singles(load.images_per_day, assumptions) * assumptions.job_start_seconds
    return (starts + load.images_per_day / assumptions.rate) * DAYS_PER_MONTH / 3600


def _hours_awake(load: Load, assumptions: Assumptions) -> float:
    """Hours a month that an asynchronous endpoint is up.

    Each folder wakes it. More than one instance all day is counted only if the load requires it.
    """
    work = load.images_per_day / assumptions.rate
    a_day = (
        load.folders_per_day * (assumptions.job_start_seconds + assumptions.cooldown_seconds) + work
    )
    return max(min(a_day, 24 * 3600), work) * DAYS_PER_MONTH / 3600


def _output(prices: Prices) -> float:
    """The S3 requests per image of batch and asynchronous results: one more write and one more
    read.
    """
    return (prices.s3_put_or_list_per_1000 + prices.s3_get_or_head_per_1000) / 1000


def _gathered(prices: Prices) -> float:
    """The S3 requests per single of a job: its output, its marker, and three HEADs to plan it."""
    marker = (prices.s3_put_or_list_per_1000 + 3 * prices.s3_get_or_head_per_1000) / 1000
    return _output(prices) + marker


def break_even(prices: Prices, folder_size: int, assumptions: Assumptions) -> float:
    """The images a day from which one endpoint instance is cheaper than one job per folder."""
    hour = prices.hour(assumptions.instance)
    seconds = assumptions.job_start_seconds / folder_size + 1 / assumptions.rate
    an_image = seconds / 3600 * hour + _output(prices) - assumptions.image_gb * prices.hosting_gb
    return HOURS_PER_MONTH * hour / DAYS_PER_MONTH / an_image


def break_even_serverless(prices: Prices, assumptions: Assumptions) -> float:
    """The images a day from which one endpoint instance is cheaper than serverless inference."""
    an_image = (
        assumptions.serverless_seconds * assumptions.serverless_gb * prices.serverless_gb_second
    )
    return HOURS_PER_MONTH * prices.hour(assumptions.instance) / DAYS_PER_MONTH / an_image


def break_even_gathered(prices: Prices, assumptions: Assumptions) -> float:
    """The singles a day from which one endpoint instance is cheaper than jobs that gather them."""
    hour = prices.hour(assumptions.instance)
    most_jobs = 24 * 3600 / assumptions.gather_seconds
    starts = most_jobs * assumptions.job_start_seconds / 3600 * hour
    an_image = hour / 3600 / assumptions.rate + _gathered(prices)
    carried = assumptions.image_gb * prices.hosting_gb
    return max(0.0, 24 * hour - starts) / max(an_image - carried, 1e-12)


def sweep(
    prices: Prices, looked_at: int, stale: int, jobs: int, assumptions: Assumptions
) -> ReclassificationCost:
    """The cost of a reclassification of which `looked_at` images are examined and `stale` ones
    classified.

    Every examined image is listed and HEADed twice: to plan, and to verify that none is left. For a
    stale image the job reads the image and writes an output; collecting reads that output and the
    previous result, heads the result once and the image twice, and writes the new result.
    """
    hours = (jobs * assumptions.job_start_seconds + stale / assumptions.rate) / 3600
    heads = 2 * looked_at + 6 * stale
    puts = 2 * stale + 2 * 2 * looked_at / 1000
    requests = heads * prices.s3_get_or_head_per_1000 + puts * prices.s3_put_or_list_per_1000
    return ReclassificationCost(hours, hours * prices.hour(assumptions.instance) + requests / 1000)


def late(assumptions: Assumptions) -> int:
    """A value for `endpointMaxLate`: the images that the endpoint classifies while a job's machine
    starts.

    It assumes a quarter of the endpoint's rate, because single images have priority.
    """
    return min(10_000, max(1, int(assumptions.job_start_seconds * assumptions.rate / 4)))


def without_jobs(prices: Prices, load: Load, assumptions: Assumptions) -> float:
    """The monthly savings if folders of this size go through an endpoint that is up for singles
    anyway.

    `endpointMaxFirst` enables that for folders up to a size: no job is started or waited for.
    """
    carried = load.images * assumptions.image_gb * prices.hosting_gb
    return month(prices, load, assumptions).batch - carried


def machines(load: Load, assumptions: Assumptions) -> int:
    """The `transformInstanceCount` that finishes a folder within an hour after the machines have
    started.
    """
    return max(1, min(100, ceil(load.folder_size / assumptions.rate / 3600)))


MODES = {
    "endpoint": "singles, endpoint: instance",
    "serverless": "singles, endpoint: serverless",
    "gathered": "singles, endpoint: none",
    "batch": "folders",
    "asynchronous": "not offered",
}
"""The routes of a month, and which parameter of a stage stands for each."""


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
    for name, mode in MODES.items():
        yield f"  {name:<14}{getattr(costs, name):>12,.2f}{mode and f'  {mode}'}"
    even = break_even(prices, load.folder_size, assumptions)
    yield ""
    yield f"An endpoint is cheaper than batch from {even:,.0f} images a day on in such folders,"
    yield f"cheaper than serverless from {break_even_serverless(prices, assumptions):,.0f} on,"
    gathered = break_even_gathered(prices, assumptions)
    minutes = assumptions.gather_seconds / 60
    yield f"and cheaper than singles gathered for {minutes:g} minutes from {gathered:,.0f} on."
    saved, wait = without_jobs(prices, load, assumptions), assumptions.job_start_seconds
    first = f"endpointMaxFirst: {load.folder_size} saves {saved:,.2f} a month"
    yield f"{first} where an endpoint is up for"
    yield f"singles and has time for them, and {wait:g} s of waiting a folder."
    yield ""
    yield "Settings that follow (serverless.yml, params):"
    yield f"  endpointMaxLate: {late(assumptions)}"
    yield f"  transformInstanceCount: {machines(load, assumptions)}"
    yield f"  endpoint instances: {instances(load, assumptions)}"
