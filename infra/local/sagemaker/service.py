"""Create the server's parts, and close them."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import boto3

from infra.local.access.permissions import Permissions
from infra.local.accounts import Account
from infra.local.sagemaker.containers.containers import Containers
from infra.local.sagemaker.containers.images import ContainerImages
from infra.local.sagemaker.core.events import Events
from infra.local.sagemaker.core.gate import Gate
from infra.local.sagemaker.core.machines import Machines
from infra.local.sagemaker.core.operations import Table
from infra.local.sagemaker.core.planted import Planted
from infra.local.sagemaker.core.rates import Rates
from infra.local.sagemaker.core.roles import Roles
from infra.local.sagemaker.core.store import Store
from infra.local.sagemaker.core.tags import Tags
from infra.local.sagemaker.hosting.endpoints import Endpoints, Pace
from infra.local.sagemaker.hosting.models import EndpointConfigs, Models
from infra.local.sagemaker.hosting.runtime import Runtime
from infra.local.sagemaker.registry.model_packages import ModelPackages
from infra.local.sagemaker.service_quotas import ServiceQuotas
from infra.local.sagemaker.training.jobs import TrainingJobs
from infra.local.sagemaker.transform.jobs import TransformJobs
from infra.local.sagemaker.tuning.jobs import TuningJobs

WORKER_THREADS = 32
"""The threads for S3 and disk access; more concurrent transfers gain nothing on one machine."""

CONTAINER_KEEPALIVE_SECONDS = 4.0
"""Below uvicorn's default of 5 s, so that no container closes a connection that is about to be
used."""


@dataclass(frozen=True, slots=True)
class SageMakerSettings:
    state: Path
    images: Path
    region: str
    account: Account
    permissions: Permissions | None
    """None: roles are not enforced."""
    ready_seconds: float
    bake_seconds: float
    serverless_idle_seconds: float
    invocation_seconds: float
    body_bytes: int


@dataclass(frozen=True, slots=True)
class SageMakerService:
    table: Table
    rates: Rates
    gate: Gate
    service_quotas: ServiceQuotas
    runtime: Runtime


@asynccontextmanager
async def run_service(settings: SageMakerSettings) -> AsyncIterator[SageMakerService]:
    """Run the service in a context. Endpoints of the last run come up in the background; at the end
    every container stops.
    """
    threads = ThreadPoolExecutor(WORKER_THREADS, thread_name_prefix="blocking")
    asyncio.get_running_loop().set_default_executor(threads)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=CONTAINER_KEEPALIVE_SECONDS)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False
    ) as http:
        store = Store(settings.state / "records", settings.region)
        images = ContainerImages(settings.images)
        roles = Roles(settings.region, settings.permissions, WORKER_THREADS)
        containers = _containers(settings, images, http, roles)
        events = Events(boto3.client("events", region_name=settings.region))
        machines = Machines(settings.account)
        pace = Pace(settings.bake_seconds, settings.serverless_idle_seconds)
        endpoints = Endpoints(store, containers, machines, pace)
        transforms = TransformJobs(store, containers, events, machines)
        trainings = TrainingJobs(store, containers, events, machines)
        tunings = TuningJobs(store, trainings, events)
        table: Table = {
            **Models(store, images).operations,
            **EndpointConfigs(store).operations,
            **endpoints.operations,
            **transforms.operations,
            **trainings.operations,
            **tunings.operations,
            **ModelPackages(store, images).operations,
            **Tags(store).operations,
        }
        endpoints.resume()
        transforms.resume()
        trainings.resume()
        tunings.resume()
        try:
            yield SageMakerService(
                table,
                Rates(settings.account.rates),
                Gate(roles),
                ServiceQuotas(settings.account, settings.region),
                Runtime(endpoints, containers, settings.invocation_seconds, settings.body_bytes),
            )
        finally:
            await tunings.close()
            await asyncio.gather(endpoints.close(), transforms.close(), trainings.close())


def _containers(
    settings: SageMakerSettings,
    images: ContainerImages,
    http: aiohttp.ClientSession,
    roles: Roles,
) -> Containers:
    folder = settings.state / "containers"
    shutil.rmtree(folder, ignore_errors=True)  # models left by a server that was killed
    folder.mkdir(parents=True)
    return Containers(
        images=images,
        folder=folder,
        logs=settings.state / "logs",
        region=settings.region,
        ready_seconds=settings.ready_seconds,
        roles=roles,
        planted=Planted(settings.state / "planted.json"),
        http=http,
    )
