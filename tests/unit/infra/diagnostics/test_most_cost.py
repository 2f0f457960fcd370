"""What a command costs at most: the amounts, the sentence, and the limits that hold."""

from dataclasses import replace

import yaml

from infra.diagnostics import most_cost
from infra.diagnostics.cost import load_prices
from infra.endpoint_settings import EndpointSettings
from infra.models import endpoint
from infra.stacks import image

PRICES = replace(load_prices(), instance_hour={"ml.m5.xlarge": 0.25}, build_minute=0.01)


def test_an_endpoint_costs_an_update_once_and_its_machine_from_then_on() -> None:
    cost = most_cost.of_endpoint(PRICES, "ml.m5.xlarge")
    assert (cost.most, cost.an_hour) == (0.25, 0.25)
    assert "USD 0.25 an hour, 182 a month, until it is removed" in cost.sentence
    assert PRICES.as_of in cost.sentence
    assert most_cost.UPDATE_HOURS * 3600 == endpoint.TIMEOUT_SECONDS, "two machines run so long"


def test_a_type_without_a_price_is_no_zero() -> None:
    cost = most_cost.of_endpoint(PRICES, "ml.x9.tiny")
    assert (cost.most, cost.an_hour) == (None, None)
    assert "no price for ml.x9.tiny" in cost.sentence


def test_containers_that_are_kept_warm_bill_by_the_hour_at_a_price_that_the_table_lacks() -> None:
    cost = most_cost.of_endpoint(
        PRICES, "ml.m5.xlarge", EndpointSettings("serverless", 4096, 10, 2)
    )
    assert "keeps 2 containers warm, which is billed by the hour" in cost.sentence
    assert (cost.most, cost.an_hour) == (0.0, None), "0 would say that it costs nothing"


def test_builds_cost_their_time_limit() -> None:
    assert most_cost.of_builds(PRICES, 2).most == 1.2
    template = yaml.load(image.TEMPLATE.read_text(), _Loader)
    limits = [
        resource["Properties"]["TimeoutInMinutes"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::CodeBuild::Project"
    ]
    assert limits == [most_cost.BUILD_MINUTES], "AWS stops a build after this time"


def test_the_document_has_amounts_for_a_program() -> None:
    document = most_cost.of_endpoint(PRICES, "ml.m5.xlarge").document
    assert document == {
        "most": 0.25,
        "an_hour": 0.25,
        "currency": "USD",
        "prices": PRICES.source,
        "sentence": most_cost.of_endpoint(PRICES, "ml.m5.xlarge").sentence,
    }
    assert most_cost.nothing(PRICES).document["most"] == 0.0


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's tags as what they tag."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: str(node.value))
