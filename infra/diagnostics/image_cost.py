"""Dollars per million images by route and instance type, split by what is paid for.

The machine is counted as always busy: what an endpoint costs while nobody uploads is in
`infra.diagnostics.cost`. Functions and requests are the same on every type.
"""

from dataclasses import dataclass

from infra.diagnostics.cost import Prices

MILLION = 1_000_000

REQUESTS = {"endpoint": (3, 1), "batch": (6, 2)}
"""S3's reads (GET, HEAD) and writes (PUT) an image, by route, the upload aside. A single: two
HEADs, the image, and its answer (functions/outbox.py). An image of a job: the job reads it and
writes an output; the page reads that and what was before, HEADs twice and writes the answer."""

MESSAGES = {"endpoint": 0.3, "batch": 0.0}
"""Requests of SQS an image: batches of ten, received and deleted, and what is sent again."""

FUNCTION_GB_SECONDS = {"endpoint": 0.15, "batch": 0.03}
"""Of Lambda. Assumed: onUpload waits 0.3 s for an image with 512 MB; onPage takes 0.03 s with
1,024 MB, of which 11 ms of a core are measured."""

FUNCTION_CALLS = {"endpoint": 0.2, "batch": 1 / 500}
"""Invocations an image: half-full batches of ten; pages of 500."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Images a second of ResNet-50 in int8, for each of an instance's vCPUs."""

    per_vcpu: float
    vcpus: int

    @property
    def rate(self) -> float:
        return self.per_vcpu * self.vcpus


WITH_VNNI, WITH_AMX = 47.0, 126.0
"""Images a second and vCPU. Served over HTTP by two cores with AVX-512 VNNI: 94, as in
docs/benchmarks.md. With AMX the server has not been measured: a prototype of its design served 252
on two cores, and the bare engine 374."""

SPEEDS = {
    "ml.m5.xlarge": Speed(WITH_VNNI, 4),
    "ml.c5.xlarge": Speed(WITH_VNNI, 4),
    "ml.m7i.xlarge": Speed(WITH_AMX, 4),
    "ml.c7i.xlarge": Speed(WITH_AMX, 4),
    "ml.c7i.2xlarge": Speed(WITH_AMX, 8),
}
"""Assumed of each: that a vCPU is as fast as one of the measured cores."""


@dataclass(frozen=True, slots=True)
class ImageCost:
    """Of a million images, in the currency of the prices."""

    machine: float
    data: float
    """What SageMaker bills for the bytes into and out of an endpoint."""
    functions: float
    requests: float

    @property
    def total(self) -> float:
        return self.machine + self.data + self.functions + self.requests


def per_million(
    prices: Prices, route: str, instance_type: str, rate: float, image_gb: float = 0.0002
) -> ImageCost:
    """`route`: "endpoint" or "batch"; `rate`: images a second of one instance."""
    reads, writes = REQUESTS[route]
    return ImageCost(
        machine=MILLION / rate / 3600 * prices.hour(instance_type),
        data=MILLION * image_gb * prices.hosting_gb if route == "endpoint" else 0.0,
        functions=MILLION * FUNCTION_GB_SECONDS[route] * prices.lambda_gb_second
        + FUNCTION_CALLS[route] * prices.lambda_request_per_million,
        requests=MILLION / 1000 * reads * prices.s3_get_or_head_per_1000
        + MILLION / 1000 * writes * prices.s3_put_or_list_per_1000
        + MESSAGES[route] * prices.sqs_request_per_million,
    )


def table(prices: Prices) -> str:
    """The table of docs/how-to/costs.md, as Markdown."""
    rows = ["| route | instance type | images/s | machine | data | Lambda | S3 and SQS | in all |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    for route in REQUESTS:
        for name, speed in SPEEDS.items():
            cost = per_million(prices, route, name, speed.rate)
            rows.append(
                f"| {route} | `{name}` | {speed.rate:,.0f} | {cost.machine:.2f} | {cost.data:.2f} "
                f"| {cost.functions:.2f} | {cost.requests:.2f} | {cost.total:.2f} |"
            )
    return "\n".join(rows)
