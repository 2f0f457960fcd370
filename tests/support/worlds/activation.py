"""A deployed stage without an account, and SageMaker as far as one endpoint goes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import WaiterError

from infra.endpoint_settings import EndpointSettings
from infra.stage import Stage
from tests.support.fakes.aws import error

SERVERLESS = "-serverless"


class Here(Stage):
    """A stage that is deployed, without an account."""

    settings = EndpointSettings()
    bucket = property(lambda self: "bucket")

    def model_role(self) -> str:
        return "arn:aws:iam::1:role/model"

    def endpoint_settings(self) -> EndpointSettings:
        return self.settings

    def kms_key(self) -> None:
        return None

    def is_endpoint_alarm_ringing(self) -> bool:
        return False


@dataclass
class Endpoint:
    """SageMaker as far as one endpoint goes. `comes_up` is what happens while it is waited for.

    A serverless endpoint beside it is in service as soon as it is created.
    """

    comes_up: Callable[[], None] = lambda: None
    config: str | None = None
    serverless: str | None = None
    """The configuration of the serverless endpoint."""
    made: set[str] = field(default_factory=set)
    status: str = "InService"
    creation_ends: str = "InService"
    """The status that an endpoint comes to which SageMaker is creating or maintaining."""
    refusal: str | None = None
    """What SageMaker says of the account's quota, in place of starting a machine."""
    deployment: dict[str, Any] = field(default_factory=dict)
    """As the last update asked for it."""

    def _describe(self, name: str) -> dict[str, Any]:
        if name not in self.made:
            missing = error("Describe", 400, "ValidationException")
            missing.response["Error"]["Message"] = f"Could not find {name}"
            raise missing
        return {}

    def describe_model(self, *, ModelName: str) -> dict[str, Any]:
        return self._describe(f"model {ModelName}")

    def create_model(self, *, ModelName: str, **_: Any) -> None:
        self.made.add(f"model {ModelName}")

    def describe_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:
        return self._describe(f"config {EndpointConfigName}")

    def create_endpoint_config(self, *, EndpointConfigName: str, **_: Any) -> None:
        self.made.add(f"config {EndpointConfigName}")

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:
        if EndpointName.endswith(SERVERLESS):
            config = self.serverless
            return self._describe(f"endpoint {EndpointName}") | {
                "EndpointStatus": "InService",
                "EndpointConfigName": config,
            }
        return self._describe("endpoint") | {
            "EndpointStatus": self.status,
            "EndpointConfigName": self.config,
            "FailureReason": "its alarm rang",
        }

    def create_endpoint(self, *, EndpointName: str, EndpointConfigName: str, **_: Any) -> None:
        if EndpointName.endswith(SERVERLESS):
            self.made.add(f"endpoint {EndpointName}")
            self.serverless = EndpointConfigName
            self.comes_up()
            return
        self._machine("CreateEndpoint")
        if "endpoint" in self.made:
            raise error("CreateEndpoint", 400, "ValidationException")
        self.made.add("endpoint")
        self.config, self.status = EndpointConfigName, "InService"

    def _machine(self, operation: str) -> None:
        if self.refusal is not None:
            refused = error(operation, 400, "ResourceLimitExceeded")
            refused.response["Error"]["Message"] = self.refusal
            raise refused

    def update_endpoint(
        self, *, EndpointName: str, EndpointConfigName: str, DeploymentConfig: dict[str, Any]
    ) -> None:
        if EndpointName.endswith(SERVERLESS):
            self.serverless = EndpointConfigName
            return
        self._machine("UpdateEndpoint")
        self.deployment = DeploymentConfig
        self.config = EndpointConfigName

    def delete_endpoint(self, *, EndpointName: str) -> None:
        if EndpointName.endswith(SERVERLESS):
            self.made.remove(f"endpoint {EndpointName}")
            return
        self.status = "Deleting"

    def get_waiter(self, name: str) -> "_Waiter":
        return _Waiter(self, name)

    def waited(self, name: str) -> None:
        if name == "endpoint_deleted":
            self.made.discard("endpoint")
        elif self.status in ("Creating", "SystemUpdating"):
            self.status = self.creation_ends
        if self.status == "Failed":
            last: Any = {"EndpointStatus": "Failed"}
            raise WaiterError(name, "it ended as Failed", last)
        self.comes_up()


@dataclass
class _Waiter:
    endpoint: Endpoint
    name: str

    def wait(self, **_: Any) -> None:
        self.endpoint.waited(self.name)


def remove(sagemaker: Endpoint) -> None:
    """What `remove` deletes of it."""
    sagemaker.made.clear()
