"""Models, and the endpoint configurations that name them."""

from infra.local.sagemaker.containers.containers import Definition
from infra.local.sagemaker.containers.images import ContainerImages
from infra.local.sagemaker.core import listing
from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.operations import Request, Table
from infra.local.sagemaker.core.resources import ENDPOINT_CONFIG, MODEL
from infra.local.sagemaker.core.store import Record, Store
from infra.local.sagemaker.hosting import serverless


class Models:
    def __init__(self, store: Store, images: ContainerImages) -> None:
        self._store = store
        self._images = images

    @property
    def operations(self) -> Table:
        return {
            "CreateModel": self.create,
            "DescribeModel": self.describe,
            "DeleteModel": self.delete,
            "ListModels": self.list,
        }

    def create(self, request: Request) -> Record:
        self._images.find(_definition(request).image)
        return self._store.create(MODEL, {"EnableNetworkIsolation": False, **request})

    def describe(self, request: Request) -> Record:
        return self._store.get(MODEL, request["ModelName"])

    def delete(self, request: Request) -> Record:
        self._store.delete(MODEL, request["ModelName"])
        return {}

    def list(self, request: Request) -> Record:
        return listing.page(MODEL, self._store.all(MODEL), request)


def _definition(request: Request) -> Definition:
    containers = request.get("Containers") or [request.get("PrimaryContainer")]
    match containers:
        case [{"Image": _, **members}] if "ModelDataSource" not in members:
            pass
        case _:
            raise ValidationException(
                "The local SageMaker runs models of one container that names its Image and, "
                "where it has model data, its ModelDataUrl."
            )
    try:
        return Definition.of(dict(request))
    except ValueError as error:
        raise ValidationException(f"ModelDataUrl: {error}") from error


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
            case [{"ModelName": model, **members}]:
                record = self._store.get(MODEL, model)
                if "ServerlessConfig" in members:
                    serverless.check_config(request, record)
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
