"""Compare the price table with AWS's price list: `./sortbox cost --check`.

`GetProducts` needs `pricing:GetProducts`, which cannot be restricted to a resource, and costs
nothing. It answers in three regions only; what a price is for is said by the attribute `regionCode`
of a product. Each line of the table is one request, about thirty together.

A product is found by its usage type, of which AWS prefixes most with a short name of the region
(`USE1-Host:ml.m5.xlarge`, in us-east-1 sometimes none). AWS does not document usage types, so a
line that is not found says nothing about its price.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from math import isclose
from typing import Any, Literal

from infra.diagnostics.cost import PriceError, Prices

REGION = "us-east-1"
"""Where the Price List API is: https://api.pricing.us-east-1.amazonaws.com."""

MOST_PRODUCTS = 1_000
"""Products read for one line, of hundreds at most that match its filters."""

REGION_PREFIX = r"(?:[A-Z]{2,4}\d{0,2}-)?"
"""Of a usage type: `USE1-`, `EU-`, `EUC1-`, or nothing."""

ROUNDING = 0.005
"""Prices that differ by less than this share are the same: the table rounds some."""

State = Literal["same", "changed", "not found"]


@dataclass(frozen=True, slots=True)
class Product:
    """Where a line is in AWS's list: `factor` of AWS's units make one of the table's."""

    service: str
    contains: str
    """What AWS looks for in usage types. It finds others as well, which are left out here."""
    usage_types: tuple[str, ...]
    factor: float = 1
    attributes: tuple[tuple[str, str], ...] = ()


def of_instance(instance_type: str) -> Product:
    """Endpoints, Batch Transform and training, for which the table has one price."""
    kind = f":{instance_type}"
    return Product("AmazonSageMaker", kind, (f"Host{kind}", f"Tsform{kind}", f"Train{kind}"))


PRODUCTS: Mapping[str, Product] = {
    "serverless_gb_second": Product(
        "AmazonSageMaker", "ServerlessInf:Mem-4GB", ("ServerlessInf:Mem-4GB",), 1 / 4
    ),
    "hosting_gb": Product(
        "AmazonSageMaker", "Hst:Data-Bytes", ("Hst:Data-Bytes-In", "Hst:Data-Bytes-Out")
    ),
    "s3_put_or_list_per_1000": Product("AmazonS3", "Requests-Tier1", ("Requests-Tier1",), 1000),
    "s3_get_or_head_per_1000": Product("AmazonS3", "Requests-Tier2", ("Requests-Tier2",), 1000),
    "lambda_gb_second": Product("AWSLambda", "Lambda-GB-Second", ("Lambda-GB-Second",)),
    "lambda_request_per_million": Product("AWSLambda", "Request", ("Request",), 1e6),
    "sqs_request_per_million": Product(
        *("AWSQueueService", "Requests-", ("Requests-Tier1", "Requests-RBP")),
        factor=1e6,
        attributes=(("queueType", "Standard"),),
    ),
    "ecr_gb_month": Product("AmazonECR", "TimedStorage-ByteHrs", ("TimedStorage-ByteHrs",)),
    "logs_gb_month": Product("AmazonCloudWatch", "TimedStorage-ByteHrs", ("TimedStorage-ByteHrs",)),
    "build_minute": Product(
        "CodeBuild", "Build-Min:Linux:g1.medium", ("Build-Min:Linux:g1.medium",)
    ),
}
"""By the name of a line, instance types aside. CodeBuild's machine is that of image.yml."""


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """A line of the table beside AWS's list. `listed` has AWS's price by usage type, in the table's
    unit; it is empty if AWS lists none.
    """

    name: str
    price: float
    as_of: str
    source: str
    state: State
    listed: Mapping[str, float]

    @property
    def document(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        line = f"{self.name} {self.price:g}, of {self.as_of}: {self.source}"
        if self.state == "not found":
            return f"{line}; AWS's list has no such usage type"
        if self.state == "same":
            return line
        others = ", ".join(f"{price:g} for {usage}" for usage, price in self.listed.items())
        return f"{line}; AWS's list has {others}"


def compare(prices: Prices, client: Any) -> Iterator[ComparedLine]:
    """Compare every line with AWS's list for the table's region. `client` is boto3's of `pricing`.

    Raises what the client raises, and PriceError if an answer is not of the documented form.
    """
    for name, line in prices.lines.items():
        product = PRODUCTS.get(name) or of_instance(name)
        listed = _prices(client, prices.region, prices.currency, product)
        differs = [price for price in listed.values() if not _is_same(price, line.price)]
        state: State = "not found" if not listed else "changed" if differs else "same"
        yield ComparedLine(name, line.price, line.as_of, line.source, state, listed)


def _is_same(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=ROUNDING)


def _prices(client: Any, region: str, currency: str, product: Product) -> dict[str, float]:
    """The product's price by usage type, in the table's unit."""
    filters = [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": region},
        {"Type": "CONTAINS", "Field": "usagetype", "Value": product.contains},
        *(
            {"Type": "TERM_MATCH", "Field": name, "Value": value}
            for name, value in product.attributes
        ),
    ]
    pages = client.get_paginator("get_products").paginate(
        ServiceCode=product.service, Filters=filters, FormatVersion="aws_v1"
    )
    texts = (text for page in pages for text in page["PriceList"])
    pattern = re.compile(f"{REGION_PREFIX}({'|'.join(map(re.escape, product.usage_types))})")
    listed = {}
    for text in islice(texts, MOST_PRODUCTS):
        try:
            entry = json.loads(text)
            usage = entry["product"]["attributes"]["usagetype"]
            if pattern.fullmatch(usage):
                price = _on_demand(entry["terms"].get("OnDemand", {}), currency)
                if price is not None:
                    listed[usage] = price * product.factor
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PriceError(
                f"AWS's price list answered a product of an unknown form ({error!r}): compare "
                "the table by hand, at https://aws.amazon.com/sagemaker/pricing/"
            ) from error
    return listed


def _on_demand(terms: Mapping[str, Any], currency: str) -> float | None:
    """The price of the first tier above the free ones; None if there is none in the currency."""
    tiers = [
        (float(tier.get("beginRange", 0)), float(tier["pricePerUnit"][currency]))
        for term in terms.values()
        for tier in term["priceDimensions"].values()
        if currency in tier["pricePerUnit"]
    ]
    return next((price for _, price in sorted(tiers) if price > 0), None)
