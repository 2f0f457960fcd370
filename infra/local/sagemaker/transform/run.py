"""Run one batch transform: send each object to the container, write its response to S3.

As in AWS, an object that the container rejects has no output, and the job fails after all other
objects have been processed. Memory holds at most `concurrency` objects of `payload_mb` each.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.sagemaker.containers.containers import (
    Container,
    ContainerFailed,
    Containers,
    ContainerSilent,
    Definition,
)
from infra.local.sagemaker.core.errors import ApiError
from infra.local.sagemaker.transform import inputs
from infra.local.sagemaker.transform.inputs import Input
from infra.local.sagemaker.transform.request import PayloadLimits, TransformJobRequest

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

logger = logging.getLogger(__name__)

PARAMETERS_SECONDS = 10.0
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0
BYTES_PER_MB = 1024 * 1024


class TransformJobFailed(Exception):
    """The job failed; the message is its FailureReason."""


class ObjectFailed(Exception):
    """An object has no output; the other objects are still processed."""


class TransformRun:
    def __init__(self, request: TransformJobRequest, containers: Containers) -> None:
        self._request = request
        self._containers = containers
        self._s3: S3Client
        self._manifest = containers.folder / f"{request.name}.manifest"
        self._failed = 0
        self._first_failure = ""

    async def run(self, model: Definition) -> None:
        """Run the job. Raises TransformJobFailed. If cancelled, it stops its container and keeps
        the outputs.
        """
        try:
            self._s3 = await asyncio.to_thread(self._containers.roles.s3, model.role)
            await self._run(model)
        except (ContainerFailed, ValueError, ClientError, BotoCoreError, ApiError) as error:
            raise TransformJobFailed(str(error)) from error
        if self._failed:
            raise TransformJobFailed(
                f"ClientError: See job logs for more information. {self._failed} object(s) "
                f"failed, the first: {self._first_failure}"
            )

    async def _run(self, model: Definition) -> None:
        try:
            source = await asyncio.to_thread(self._open_source)
            container = await self._containers.start(
                model, self._request.name, self._request.container_environment, "TransformJobs"
            )
            try:
                await self._transform_all(container, source)
            finally:
                await container.stop()
        finally:
            self._manifest.unlink(missing_ok=True)

    def _open_source(self) -> Iterator[Input]:
        source = self._request.source
        if self._request.source_type == "S3Prefix":
            return inputs.of_prefix(self._s3, source)
        # To disk first: otherwise a stream from S3 would stay open as long as the job runs.
        try:
            self._s3.list_objects_v2(Bucket=source.bucket, Prefix=source.key, MaxKeys=1)
            self._s3.download_file(source.bucket, source.key, str(self._manifest))
        except ClientError as error:
            raise TransformJobFailed(f"Could not read the manifest {source}: {error}") from error
        prefix = inputs.prefix_of(self._manifest)
        self._s3.list_objects_v2(Bucket=prefix.bucket, Prefix=prefix.key, MaxKeys=1)
        return inputs.of_manifest(self._manifest)

    async def _transform_all(self, container: Container, source: Iterator[Input]) -> None:
        limits = self._request.limits(await _execution_parameters(container))
        turn = asyncio.Lock()
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_fail_when_exited(container))
                workers = [
                    group.create_task(self._work(container, source, turn, limits))
                    for _ in range(limits.concurrency)
                ]
                await asyncio.wait(workers)
                watch.cancel()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _work(
        self,
        container: Container,
        source: Iterator[Input],
        turn: asyncio.Lock,
        limits: PayloadLimits,
    ) -> None:
        while True:
            async with turn:
                item = await asyncio.to_thread(next, source, None)
            if item is None:
                return
            try:
                await self._transform_one(container, item, limits)
            except ObjectFailed as failure:
                logger.warning("%s: %s: %s", self._request.name, item.at, failure)
                self._first_failure = self._first_failure or f"{item.at}: {failure}"
                self._failed += 1

    async def _transform_one(
        self, container: Container, item: Input, limits: PayloadLimits
    ) -> None:
        body = await asyncio.to_thread(self._read, item, limits.payload_mb * BYTES_PER_MB)
        answer = await self._answer(container, body)
        at = self._request.output_of(item.relative)
        await asyncio.to_thread(self._s3.put_object, Bucket=at.bucket, Key=at.key, Body=answer)

    def _read(self, item: Input, limit: int) -> bytes:
        try:
            stored = self._s3.get_object(Bucket=item.at.bucket, Key=item.at.key)
        except self._s3.exceptions.NoSuchKey as error:
            raise ObjectFailed("no such object") from error
        with stored["Body"] as body:
            if stored["ContentLength"] > limit:
                raise ObjectFailed(f"{stored['ContentLength']} bytes exceed MaxPayloadInMB")
            return body.read()

    async def _answer(self, container: Container, body: bytes) -> bytes:
        """The container's response. Raises ObjectFailed: at once for a 4xx, otherwise after the
        retries.
        """
        trouble = ""
        for attempt in range(self._request.retries + 1):
            if attempt:
                wait = FIRST_RETRY_SECONDS * 2 ** (attempt - 1)
                await asyncio.sleep(min(wait, LAST_RETRY_SECONDS))
            try:
                reply = await container.invoke(
                    body, self._request.request_headers, self._request.timeout_seconds
                )
            except TimeoutError:
                trouble = f"no answer in {self._request.timeout_seconds} s"
            except ContainerSilent as error:
                trouble = str(error)
            else:
                if reply.status < 300:
                    return reply.body
                trouble = f"{reply.status}: {reply.body[:200].decode(errors='replace')}"
                if reply.status < 500:
                    break
        raise ObjectFailed(trouble)


async def _execution_parameters(container: Container) -> Mapping[str, int]:
    """The container's response to /execution-parameters; empty if it has none."""
    try:
        reply = await container.get("/execution-parameters", PARAMETERS_SECONDS)
        parameters = json.loads(reply.body) if reply.status == 200 else {}
    except (ContainerSilent, TimeoutError, ValueError):
        return {}
    if not isinstance(parameters, dict):
        return {}
    names = ("MaxConcurrentTransforms", "MaxPayloadInMB")
    return {name: parameters[name] for name in names if isinstance(parameters.get(name), int)}


async def _fail_when_exited(container: Container) -> None:
    status = await container.exited()
    raise TransformJobFailed(f"AlgorithmError: the container exited with status {status}")
