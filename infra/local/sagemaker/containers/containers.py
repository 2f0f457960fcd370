"""Containers: an image's command, run with a model unpacked for it, on its own port."""

import asyncio
import os
import random
import shutil
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from domain.archive import ArchiveError, members
from infra.local import processes
from infra.local.sagemaker.containers.images import ContainerImages
from infra.local.sagemaker.containers.transfers import Location
from infra.local.sagemaker.core.errors import ApiError
from infra.local.sagemaker.core.planted import Planted
from infra.local.sagemaker.core.roles import OfWhat, Roles
from infra.local.sagemaker.core.store import Record

PING_SECONDS = 2.0
BETWEEN_PINGS_SECONDS = 0.05
STOP_SECONDS = 30.0
PORTS = range(20_000, 32_000)
PORT_TRIES = 100


class ContainerFailed(Exception):
    """The container did not come up; the message becomes the FailureReason, as in AWS."""


class ContainerSilent(Exception):
    """The container gave no response: it is not running, or ended during the request."""


@dataclass(frozen=True, slots=True)
class Definition:
    """The container definition of a CreateModel request."""

    image: str
    archive: Location | None
    environment: Mapping[str, str]
    role: str
    is_isolated: bool = False
    """EnableNetworkIsolation: the container must find no credentials, here in the user's home."""

    @classmethod
    def of(cls, model: Record) -> "Definition":
        """The definition of a model. Raises ValueError if its data is not an S3 URI."""
        container = model.get("PrimaryContainer") or model["Containers"][0]
        uri = container.get("ModelDataUrl")
        archive = Location.parse(uri) if uri else None
        role = model.get("ExecutionRoleArn", "")
        isolated = model.get("EnableNetworkIsolation", False)
        return cls(container["Image"], archive, container.get("Environment", {}), role, isolated)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Container:
    """A running container. Its folder is deleted when it stops."""

    child: processes.Child
    url: str
    _folder: Path
    _http: aiohttp.ClientSession = field(repr=False)

    async def get(self, path: str, seconds: float) -> Reply:
        return await self._send("GET", path, b"", {}, seconds)

    async def invoke(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        """Send one invocation. Raises ContainerSilent, or TimeoutError after `seconds`."""
        return await self._send("POST", "/invocations", body, headers, seconds)

    async def stop(self) -> None:
        """Send SIGTERM, and SIGKILL after SageMaker's grace period."""
        self.child.terminate(STOP_SECONDS)
        await self.exited()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def exited(self) -> "asyncio.Future[int]":
        """Resolves to the exit status. Each caller gets a separate future, which it may cancel."""
        return asyncio.wrap_future(self.child.exited)

    async def _send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> Reply:
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.request(
                    method, self.url + path, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                return Reply(answer.status, await answer.read(), answer.headers)
        except aiohttp.ClientError as error:
            raise ContainerSilent(str(error)) from error


@dataclass(frozen=True, slots=True)
class Containers:
    """Starts containers."""

    images: ContainerImages
    folder: Path
    logs: Path
    region: str
    ready_seconds: float
    roles: Roles
    planted: Planted
    http: aiohttp.ClientSession

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    async def start(
        self, definition: Definition, name: str, environment: Mapping[str, str], of: OfWhat
    ) -> Container:
        """Start a container; returns once /ping responds with 200. Raises ContainerFailed."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        try:
            check = self.roles.check_container
            await asyncio.to_thread(check, definition.role, definition.image, of, name)
            await asyncio.to_thread(self._fetch_model, definition, folder)
            container = self._launch(definition, name, environment, folder)
        except (ContainerFailed, ArchiveRefused, ApiError) as error:
            await asyncio.to_thread(shutil.rmtree, folder)
            raise ContainerFailed(str(error)) from error
        try:
            await self._until_ready(container, name)
        except BaseException:
            await container.stop()
            raise
        return container

    def _fetch_model(self, definition: Definition, folder: Path) -> None:
        model = folder / "model"
        model.mkdir()
        if definition.archive is None:
            return
        at = definition.archive
        try:
            s3 = self.roles.s3(definition.role)
            s3.list_objects_v2(Bucket=at.bucket, Prefix=at.key, MaxKeys=1)  # as SageMaker does
            s3.download_file(at.bucket, at.key, str(folder / "model.tar.gz"))
        except (ClientError, BotoCoreError) as error:
            raise ContainerFailed(f"Could not access model data at {at}: {error}") from error
        unpack(folder / "model.tar.gz", model)
        (folder / "model.tar.gz").unlink()

    def _launch(
        self, definition: Definition, name: str, environment: Mapping[str, str], folder: Path
    ) -> Container:
        image = self.images.find(definition.image)
        port = _free_port()
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home(folder, definition.is_isolated),
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "SM_MODEL_DIR": str(folder / "model"),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SORTBOX_BIND_HOST": "127.0.0.1",
            **image.env,
            **definition.environment,
            **environment,
        }
        child = processes.start(image.argv, env, self.log(name), name, image.cwd or folder)
        return Container(child, f"http://127.0.0.1:{port}", folder, self.http)

    async def _until_ready(self, container: Container, name: str) -> None:
        exited = container.exited()
        try:
            async with asyncio.timeout(self.ready_seconds):
                while not await _is_ready(container):
                    await asyncio.wait({exited}, timeout=BETWEEN_PINGS_SECONDS)
                    if exited.done():
                        raise ContainerFailed(
                            f"The primary container for {name} exited with status "
                            f"{exited.result()}. See {self.log(name)}."
                        )
        except TimeoutError as error:
            raise ContainerFailed(
                f"The primary container for {name} did not pass the ping health check "
                f"in {self.ready_seconds:g} s. See {self.log(name)}."
            ) from error


def home(folder: Path, is_isolated: bool) -> str:
    """The container's HOME: its own folder if it is isolated, else the user's home, which has
    credentials, and caches that save downloads.
    """
    return str(folder) if is_isolated else os.environ.get("HOME", str(folder))


async def _is_ready(container: Container) -> bool:
    try:
        return (await container.get("/ping", PING_SECONDS)).status == 200
    except (ContainerSilent, TimeoutError):
        return False


def _free_port() -> int:
    """A free port below the ephemeral range, so that no client takes it before the
    container does.
    """
    for port in random.sample(PORTS, PORT_TRIES):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ContainerFailed(f"no free port for a container in {PORT_TRIES} tries")


class ArchiveRefused(ValueError):
    """The archive cannot be accepted; the message names the member or the reason."""


def unpack(archive: Path, folder: Path) -> None:
    """Copy the regular files of `archive` to the empty `folder`. Raises ArchiveRefused.

    Links are never created, so that no later member can follow one out of the folder.
    """
    with archive.open("rb") as packed:
        try:
            for member, content in members(packed, archive.stat().st_size):
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    file.writelines(content)
        except ArchiveError as error:
            raise ArchiveRefused(f"model archive: {error}") from error
