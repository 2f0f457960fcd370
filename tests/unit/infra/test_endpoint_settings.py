"""How a stage answers singles: what is written, what is requested, and what is kept."""

from dataclasses import asdict
from typing import Any

import pytest

from domain.model import ENDPOINT_MODES
from infra.endpoint_settings import EndpointSettings, EndpointSettingsError, keep_deployed
from infra.shipped import REPOSITORY
from infra.stacks import stage_parameters

TEMPLATE = REPOSITORY / "serverless.yml"
WRITTEN = stage_parameters.params(TEMPLATE, "dev")


def test_the_defaults_are_those_of_serverless_yml() -> None:
    assert asdict(EndpointSettings()) == {
        name: WRITTEN[name] for name in asdict(EndpointSettings())
    }


@pytest.mark.parametrize("mode", ENDPOINT_MODES)
def test_every_mode_has_an_alarms_endpoint_in_the_template(mode: str) -> None:
    assert f"{mode}: " in TEMPLATE.read_text().partition("endpoints: {")[2].partition("}\n")[0]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"endpoint": "lambda"}, "endpoint: instance, serverless, none, not 'lambda'"),
        ({"serverlessMemoryMb": "1500"}, "serverlessMemoryMb: one of 1024, 2048"),
        ({"serverlessMemoryMb": 7168}, "not 7168"),
        ({"serverlessConcurrency": 201}, "serverlessConcurrency: 1 to 200"),
        ({"serverlessProvisioned": 11}, "0 to serverlessConcurrency, 10, not 11"),
        ({"serverlessConcurrency": "many"}, "a whole number, not 'many'"),
    ],
)
def test_what_sagemaker_would_refuse_is_a_sentence_before_anything_is_deployed(
    params: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(EndpointSettingsError, match=sentence):
        EndpointSettings.parse(params)


def test_outputs_of_a_stack_are_read_and_a_stage_of_an_earlier_release_has_none() -> None:
    assert EndpointSettings.parse({"ModelRoleArn": "arn", "endpoint": "none"}).endpoint == "none"
    assert EndpointSettings.parse({"ModelRoleArn": "arn"}) == EndpointSettings()


def test_a_deployment_that_does_not_name_the_mode_keeps_it() -> None:
    deployed = EndpointSettings("none", 2048)
    assert keep_deployed({}, WRITTEN, deployed) == deployed, "an instance would bill by the hour"
    assert keep_deployed({"endpoint": "instance"}, WRITTEN, deployed).endpoint == "instance"
    written = {**WRITTEN, "endpoint": "serverless"}
    assert keep_deployed({}, written, deployed).endpoint == "serverless"
    assert keep_deployed({}, WRITTEN, None) == EndpointSettings()
