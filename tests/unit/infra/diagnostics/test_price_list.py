"""The price table beside AWS's price list, asked by boto3 of a server that answers as the Price
List API does: botocore's model of the service holds both sides to its shapes.

Limits: 1 to 100 products a page, and NextToken. Permission: pricing:GetProducts, on `*`.
"""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.diagnostics.cost import PriceError, Prices, load_prices
from infra.diagnostics.price_list import ComparedLine, compare

PRICES = load_prices()
PAGE = 2
"""Products a page, so that every line of several usage types is of two pages."""


class PriceList(ThreadingHTTPServer):
    """Answers GetProducts from `products`: (service, attributes, tiers by beginRange)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.products: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.answers: list[str] = []
        self.refuses = False
        self.requests: list[dict[str, Any]] = []

    def add(self, service: str, usage: str, price: str, **attributes: str) -> None:
        of = {"regionCode": PRICES.region, "usagetype": usage} | attributes
        self.products.append((service, of, {"0": price}))

    def matching(self, request: dict[str, Any]) -> list[str]:
        return [
            _entry(attributes, tiers)
            for service, attributes, tiers in self.products
            if service == request["ServiceCode"]
            and all(_matches(attributes, each) for each in request["Filters"])
        ]


def _matches(attributes: dict[str, str], wish: dict[str, str]) -> bool:
    value = attributes.get(wish["Field"], "")
    return wish["Value"] in value if wish["Type"] == "CONTAINS" else wish["Value"] == value


def _entry(attributes: dict[str, str], tiers: dict[str, str]) -> str:
    """A product as the list has it; its keys are an id of the product and of the price."""
    dimensions = {
        f"SKU.JRTCKXETXF.{begin}": {"beginRange": begin, "pricePerUnit": {"USD": price}}
        for begin, price in tiers.items()
    }
    terms = {"OnDemand": {"SKU.JRTCKXETXF": {"priceDimensions": dimensions}}}
    return json.dumps({"product": {"attributes": attributes, "sku": "SKU"}, "terms": terms})


class _Handler(BaseHTTPRequestHandler):
    server: PriceList

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
        request = json.loads(body)
        self.server.requests.append(request)
        if self.server.refuses:
            self._answer(400, {"__type": "AccessDeniedException", "message": "not authorized"})
            return
        products = self.server.answers or self.server.matching(request)
        start = int(request.get("NextToken", 0))
        page: dict[str, Any] = {"FormatVersion": "aws_v1"}
        page["PriceList"] = products[start : start + PAGE]
        if start + PAGE < len(products):
            page["NextToken"] = str(start + PAGE)
        self._answer(200, page)

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def aws() -> Iterator[PriceList]:
    with PriceList() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(aws: PriceList) -> Any:
    return boto3.client(
        "pricing",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{aws.server_port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )


def only(*names: str) -> Prices:
    return replace(PRICES, lines={name: PRICES.lines[name] for name in names})


def check(aws: PriceList, *names: str) -> dict[str, ComparedLine]:
    table = only(*names) if names else PRICES
    return {line.name: line for line in compare(table, client(aws))}


def add_instance(aws: PriceList, price: str, name: str = "ml.m5.xlarge") -> None:
    for use in ("Host", "Tsform", "Train", "Notebk"):
        aws.add("AmazonSageMaker", f"USE1-{use}:{name}", "9.9" if use == "Notebk" else price)


def test_the_same_price_is_the_same_for_each_use_of_an_instance(aws: PriceList) -> None:
    add_instance(aws, "0.2300000000")
    line = check(aws, "ml.m5.xlarge")["ml.m5.xlarge"]
    assert line.state == "same", "a notebook's price is none of the stage's"
    assert set(line.listed) == {f"USE1-{use}:ml.m5.xlarge" for use in ("Host", "Tsform", "Train")}
    assert [each.get("NextToken") for each in aws.requests] == [None, "2"]


def test_a_changed_price_names_aws_price_and_the_lines_day_and_source(aws: PriceList) -> None:
    add_instance(aws, "0.2500000000")
    line = check(aws, "ml.m5.xlarge")["ml.m5.xlarge"]
    assert line.state == "changed"
    for words in ("0.23", "2026-09-28", "quoted in public", "0.25 for USE1-Host:ml.m5.xlarge"):
        assert words in str(line)


def test_one_use_of_another_price_is_a_change(aws: PriceList) -> None:
    """The table has one price for all three: that is an assumption, and the check tests it."""
    aws.add("AmazonSageMaker", "USE1-Host:ml.m5.xlarge", "0.23")
    aws.add("AmazonSageMaker", "USE1-Train:ml.m5.xlarge", "0.27")
    assert check(aws, "ml.m5.xlarge")["ml.m5.xlarge"].state == "changed"


def test_what_aws_does_not_list_is_not_found(aws: PriceList) -> None:
    states = {line.state for line in check(aws).values()}
    assert states == {"not found"}
    assert len(aws.requests) == len(PRICES.lines), "a request for each line, and no more"


def test_other_regions_and_other_usage_types_are_left_out(aws: PriceList) -> None:
    aws.add("AWSLambda", "USE1-Lambda-Edge-Request", "0.0000006")
    aws.add("AWSLambda", "Global-Request", "0.0000009")
    aws.add("AWSLambda", "EUC1-Request", "0.0000003", regionCode="eu-central-1")
    assert check(aws, "lambda_request_per_million")["lambda_request_per_million"].listed == {}
    aws.add("AWSLambda", "Request", "0.0000002")
    assert check(aws, "lambda_request_per_million")["lambda_request_per_million"].state == "same"


def test_prices_are_compared_in_the_tables_unit(aws: PriceList) -> None:
    aws.add("AmazonS3", "Requests-Tier1", "0.0000050000")
    aws.add("AmazonSageMaker", "USE1-ServerlessInf:Mem-4GB", "0.0000800000")
    aws.add("AWSQueueService", "Requests-RBP", "0.0000004", queueType="Standard")
    aws.add("AWSQueueService", "Requests-RBP", "0.0000005", queueType="FIFO")
    names = ("s3_put_or_list_per_1000", "serverless_gb_second", "sqs_request_per_million")
    assert {line.state for line in check(aws, *names).values()} == {"same"}


def test_the_first_tier_that_costs_anything_is_compared(aws: PriceList) -> None:
    attributes = {"regionCode": PRICES.region, "usagetype": "Lambda-GB-Second"}
    tiers = {"6000000000": "0.0000150000", "0": "0.0000166667"}
    aws.products.append(("AWSLambda", attributes, tiers))
    assert check(aws, "lambda_gb_second")["lambda_gb_second"].state == "same"
    free_first = {"0": "0.0000000000", "400000": "0.0000166667"}
    aws.products = [("AWSLambda", attributes, free_first)]
    assert check(aws, "lambda_gb_second")["lambda_gb_second"].state == "same"


@pytest.mark.parametrize(
    "answer", ["[]", "{", '{"product": {"attributes": {"usagetype": "Request"}}}']
)
def test_an_answer_of_another_form_is_a_sentence(aws: PriceList, answer: str) -> None:
    aws.answers = [answer]
    with pytest.raises(PriceError, match=re.escape("compare the table by hand")):
        check(aws, "lambda_request_per_million")


def test_without_the_permission_the_refusal_is_awss(aws: PriceList) -> None:
    aws.refuses = True
    with pytest.raises(ClientError, match="AccessDenied"):
        check(aws)
