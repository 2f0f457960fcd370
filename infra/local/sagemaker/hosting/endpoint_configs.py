"""Endpoint configurations: which model answers, as which variant."""

from infra.local.sagemaker.core import listing
from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.operations import Request, Table
from infra.local.sagemaker.core.resources import ENDPOINT_CONFIG, MODEL
from infra.local.sagemaker.core.store import Record, Store


class EndpointConfigs:
    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def operations(self) -> Table:
        return {
            "CreateEndpointConfig": self.create,
            "DescribeEndpointConfig": self.describe,
            "DeleteEndpointConfig": self.delete,
            "ListEndpointConfigs": self.list,
        }

    def create(self, request: Request) -> Record:
        match request["ProductionVariants"]:
            case [{"ModelName": model}]:
                self._store.get(MODEL, model)
            case _:
                raise ValidationException(
                    "The local SageMaker serves one production variant, which names a ModelName."
                )
        return self._store.create(ENDPOINT_CONFIG, dict(request))

    def describe(self, request: Request) -> Record:
        return self._store.get(ENDPOINT_CONFIG, request["EndpointConfigName"])

    def delete(self, request: Request) -> Record:
        self._store.delete(ENDPOINT_CONFIG, request["EndpointConfigName"])
        return {}

    def list(self, request: Request) -> Record:
        return listing.page(ENDPOINT_CONFIG, self._store.all(ENDPOINT_CONFIG), request)
