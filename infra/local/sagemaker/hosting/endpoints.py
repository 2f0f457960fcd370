"""Endpoints: create them, update them without losing calls, and bring them up after a restart."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from infra.local.sagemaker.containers.containers import ContainerFailed, Containers, Definition
from infra.local.sagemaker.core import listing
from infra.local.sagemaker.core.background import Background
from infra.local.sagemaker.core.errors import ApiError, ValidationException
from infra.local.sagemaker.core.machines import Fleet, Machines
from infra.local.sagemaker.core.operations import Request, Table
from infra.local.sagemaker.core.resources import ENDPOINT, ENDPOINT_CONFIG, MODEL
from infra.local.sagemaker.core.store import Record, Store
from infra.local.sagemaker.hosting.bake import Bake
from infra.local.sagemaker.hosting.serverless import Scaling, ServerlessVariant, is_serverless
from infra.local.sagemaker.hosting.variant import Deployment, Variant

REASON_CHARACTERS = 1024
TERMINAL_STATUSES = frozenset({"InService", "Failed"})
CUT_OFF = "InternalServerError: the local SageMaker ended during the update, which is undone"


LiveVariant = Variant | ServerlessVariant


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: of the longest bake time of an update, and until a serverless container is idle."""

    longest_bake: float
    serverless_idle: float


class Endpoints:
    def __init__(
        self, store: Store, containers: Containers, machines: Machines, pace: Pace
    ) -> None:
        self._store = store
        self._containers = containers
        self._machines = machines
        self._pace = pace
        self._live: dict[str, LiveVariant] = {}
        self._fleets: dict[str, Fleet] = {}
        self._background = Background(ContainerFailed, ApiError)

    @property
    def operations(self) -> Table:
        return {
            "CreateEndpoint": self.create,
            "UpdateEndpoint": self.update,
            "DescribeEndpoint": self.describe,
            "DeleteEndpoint": self.delete,
            "ListEndpoints": self.list,
        }

    @property
    def live(self) -> Mapping[str, LiveVariant]:
        """The variant that receives invocations now, by endpoint."""
        return self._live

    def create(self, request: Request) -> Record:
        name, config = request["EndpointName"], request["EndpointConfigName"]
        fleet = _fleet(self._store.get(ENDPOINT_CONFIG, config))
        self._store.refuse_taken(ENDPOINT, name)
        self._machines.take(fleet)
        record = self._store.create(ENDPOINT, {**request, "EndpointStatus": "Creating"})
        self._start_deploying(name, config, Bake((), 0))
        return record

    def update(self, request: Request) -> Record:
        """Start an update. The endpoint keeps its old configuration and uses it until the new one
        is up.

        Until then the instances of both fleets count: "provisions a new fleet" (botocore,
        UpdateEndpoint).
        """
        name, config = request["EndpointName"], request["EndpointConfigName"]
        record = self._settled(name)
        configuration = self._store.get(ENDPOINT_CONFIG, config)
        fleet = _fleet(configuration)
        present = self._store.get(ENDPOINT_CONFIG, record["EndpointConfigName"])
        if is_serverless(configuration) and not is_serverless(present):
            raise ValidationException(
                f'Cannot update endpoint "{record["EndpointArn"]}": an instance-based endpoint '
                "cannot be converted to a serverless one."
            )
        if record["EndpointStatus"] == "Failed":
            raise ValidationException(f'Cannot update failed endpoint "{record["EndpointArn"]}".')
        self._machines.take(fleet)
        updating = self._store.update(
            ENDPOINT,
            name,
            EndpointStatus="Updating",
            LastDeploymentConfig=request.get("DeploymentConfig"),
        )
        self._start_deploying(name, config, Bake.of(request, self._pace.longest_bake))
        return updating

    def describe(self, request: Request) -> Record:
        return self._store.get(ENDPOINT, request["EndpointName"])

    def delete(self, request: Request) -> Record:
        name = request["EndpointName"]
        self._settled(name)
        self._store.update(ENDPOINT, name, EndpointStatus="Deleting")
        self._background.start(self._delete(name))
        return {}

    def list(self, request: Request) -> Record:
        return listing.page(ENDPOINT, self._store.all(ENDPOINT), request)

    def resume(self) -> None:
        """Bring up the endpoints of the last server. Unfinished updates are discarded, and said to
        be.
        """
        for record in self._store.all(ENDPOINT):
            name = record["EndpointName"]
            match record["EndpointStatus"]:
                case "Failed":
                    pass
                case "Deleting":
                    self._store.delete(ENDPOINT, name)
                case status:
                    coming = "Creating" if status == "Creating" else "SystemUpdating"
                    is_cut_off = status in ("Updating", "RollingBack")
                    reason = CUT_OFF if is_cut_off else record.get("FailureReason")
                    self._store.update(ENDPOINT, name, EndpointStatus=coming, FailureReason=reason)
                    self._bring_up(name, record["EndpointConfigName"])

    def _bring_up(self, name: str, config: str) -> None:
        """Bring up an endpoint. Its instances are counted without a check of the quota. It fails if
        its configuration was deleted.
        """
        try:
            self._machines.keep(_fleet(self._store.get(ENDPOINT_CONFIG, config)))
        except ApiError as error:
            self._store.update(ENDPOINT, name, EndpointStatus="Failed", FailureReason=str(error))
        else:
            reason = self._store.get(ENDPOINT, name).get("FailureReason")
            self._start_deploying(name, config, Bake((), 0), reason)

    async def close(self) -> None:
        await self._background.close()
        await asyncio.gather(*(variant.close() for variant in self._live.values()))

    def _settled(self, name: str) -> Record:
        record = self._store.get(ENDPOINT, name)
        if record["EndpointStatus"] not in TERMINAL_STATUSES:
            raise ValidationException(
                f'Cannot update in-progress endpoint "{record["EndpointArn"]}".'
            )
        return record

    def _start_deploying(
        self, name: str, config_name: str, bake: Bake, reason: str | None = None
    ) -> None:
        """`reason`: of a failed update before, which stays when the endpoint is in service."""
        deployment = self._background.start(self._deploy(name, config_name, bake, reason))
        fleet = _fleet(self._store.get(ENDPOINT_CONFIG, config_name))
        deployment.add_done_callback(partial(self._deployed, name, fleet))

    def _deployed(self, name: str, fleet: Fleet, deployment: "asyncio.Task[None]") -> None:
        """The end of a deployment. As in AWS a failed update is rolled back: the old variant stays
        live, and the reason is stored.
        """
        failure = None if deployment.cancelled() else deployment.exception()
        if failure is not None:
            self._machines.give_back(fleet)
            status = "InService" if name in self._live else "Failed"
            reason = str(failure)[:REASON_CHARACTERS]
            self._store.update(ENDPOINT, name, EndpointStatus=status, FailureReason=reason)

    async def _deploy(self, name: str, config_name: str, bake: Bake, reason: str | None) -> None:
        """Move all traffic to the new fleet at once; the old fleet is kept until the bake time is
        over.
        """
        config = self._store.get(ENDPOINT_CONFIG, config_name)
        deployed, roles = self._deployment(name, config), self._containers.roles
        await asyncio.to_thread(bake.check, roles, deployed.model.role)
        fresh = await self._start(deployed, config)
        retired = self._live.get(name)
        self._live[name] = fresh
        if retired:
            await self._bake(name, bake, retired)
        self._occupy(name, _fleet(config))
        self._store.update(
            ENDPOINT,
            name,
            EndpointStatus="InService",
            EndpointConfigName=config_name,
            ProductionVariants=[_summary(config)],
            FailureReason=reason,
        )
        if retired:
            await retired.retire()

    async def _start(self, deployed: Deployment, config: Record) -> LiveVariant:
        """Raises ContainerFailed."""
        if is_serverless(config):
            scaling = Scaling.of(config, self._pace.serverless_idle)
            return await ServerlessVariant.start(self._containers, deployed, scaling)
        return await Variant.start(self._containers, deployed)

    async def _bake(self, name: str, bake: Bake, before: LiveVariant) -> None:
        """Wait for the bake time. If an alarm rings, restores the fleet `before`, and raises
        ContainerFailed.
        """
        try:
            await bake.watch(self._containers.roles)
        except ContainerFailed:
            self._store.update(ENDPOINT, name, EndpointStatus="RollingBack")
            undone, self._live[name] = self._live[name], before
            await undone.retire()
            raise
        except asyncio.CancelledError:  # the server stops: the live variant is closed elsewhere
            await before.close()
            raise

    def _occupy(self, name: str, fleet: Fleet) -> None:
        """Record that only this fleet is in use from now on."""
        before = self._fleets.get(name)
        self._fleets[name] = fleet
        if before:
            self._machines.give_back(before)

    async def _delete(self, name: str) -> None:
        variant = self._live.pop(name, None)
        if variant:
            await variant.retire()
            self._machines.give_back(self._fleets.pop(name))
        self._store.delete(ENDPOINT, name)

    def _deployment(self, name: str, config: Record) -> Deployment:
        [variant] = config["ProductionVariants"]
        model = self._store.get(MODEL, variant["ModelName"])
        return Deployment(name, variant["VariantName"], Definition.of(model))


def _fleet(config: Record) -> Fleet:
    """A serverless endpoint has no instances, and takes none of their quota."""
    [variant] = config["ProductionVariants"]
    if is_serverless(config):
        return Fleet("serverless", "endpoint usage", 0)
    return Fleet(variant["InstanceType"], "endpoint usage", variant.get("InitialInstanceCount", 1))


def _summary(config: Record) -> Record:
    """Counts and weights as requested; here one process simulates all instances."""
    [variant] = config["ProductionVariants"]
    weight = variant.get("InitialVariantWeight", 1.0)
    summary = {
        "VariantName": variant["VariantName"],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
    }
    if is_serverless(config):
        serverless = variant["ServerlessConfig"]
        return summary | {
            "CurrentServerlessConfig": serverless,
            "DesiredServerlessConfig": serverless,
        }
    count = variant.get("InitialInstanceCount", 1)
    return summary | {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
