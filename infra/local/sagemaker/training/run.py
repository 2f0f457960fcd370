"""Run one training job: download channels, run the container, upload results."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local import processes
from infra.local.sagemaker.containers import transfers
from infra.local.sagemaker.containers.containers import Containers, home
from infra.local.sagemaker.containers.images import ContainerImage
from infra.local.sagemaker.containers.transfers import FileVersion
from infra.local.sagemaker.core.errors import ApiError
from infra.local.sagemaker.core.store import Record
from infra.local.sagemaker.debugger.rule_jobs import RuleJobs
from infra.local.sagemaker.training.folder import TrainingFolder
from infra.local.sagemaker.training.log import JobLog
from infra.local.sagemaker.training.request import TrainingJobRequest

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

STOP_SECONDS = 120.0
"""SageMaker's time between SIGTERM and SIGKILL."""

CLOSE_SECONDS = 5.0
CHECKPOINT_SECONDS = 1.0


class TrainingJobFailed(Exception):
    """The job failed; the message is its FailureReason."""


class RunOutcome(Enum):
    COMPLETED = "Completed"
    STOPPED = "Stopped"
    OUT_OF_TIME = "MaxRuntimeExceeded"


@dataclass(frozen=True, slots=True)
class RunListener:
    """Callbacks of a run: its secondary status, new log lines, statuses of debugger rules."""

    on_status: Callable[[str], None]
    on_output: Callable[[], None]
    on_rules: Callable[[Record], None]


class TrainingRun:
    def __init__(
        self,
        request: TrainingJobRequest,
        arn: str,
        containers: Containers,
        listener: RunListener,
    ) -> None:
        self._request = request
        self._arn = arn
        self._containers = containers
        self._listener = listener
        self._stop = asyncio.Event()
        logs = partial(containers.roles.logs, request.role)
        self._log = JobLog(request, containers.log(request.name), logs)

    def stop(self) -> None:
        self._stop.set()

    @property
    def metrics(self) -> list[Record]:
        return self._log.metrics.final()

    def series(self, metric: str) -> list[float]:
        """The values of the metric so far, in order."""
        return self._log.metrics.series(metric)

    async def run(self) -> RunOutcome:
        """Run the job to its end. Raises TrainingJobFailed."""
        folder = Path(
            tempfile.mkdtemp(prefix=f"{self._request.name}-", dir=self._containers.folder)
        )
        try:
            return await self._run(TrainingFolder(folder))
        except (ClientError, BotoCoreError, transfers.TransferRefused, ApiError) as error:
            raise TrainingJobFailed(f"ClientError: {error}") from error
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _run(self, folder: TrainingFolder) -> RunOutcome:
        image = self._containers.images.find(self._request.image)
        self._listener.on_status("Downloading")
        await asyncio.to_thread(self._download, folder)
        self._listener.on_status("Training")
        rules = RuleJobs(
            self._request.debug, image, folder, self._containers, self._listener.on_rules, self.stop
        )
        following = asyncio.ensure_future(rules.follow())
        try:
            ended = await self._train(image, folder)
        except asyncio.CancelledError:
            rules.terminate()
            raise
        finally:
            following.cancel()
            await asyncio.to_thread(self._log.drain)
            await rules.finish()
        self._listener.on_status("Uploading")
        await asyncio.to_thread(self._upload, folder, "model.tar.gz", folder.model)
        await asyncio.to_thread(self._upload, folder, "output.tar.gz", folder.data)
        return ended

    def _download(self, folder: TrainingFolder) -> None:
        reason = self._containers.planted.take("TrainingJob")
        if reason:
            raise TrainingJobFailed(reason)
        self._containers.roles.check_container(
            self._request.role, self._request.image, "TrainingJobs", self._request.name
        )
        s3 = self._s3()
        folder.make(self._request)
        for channel in self._request.channels:
            if self._stop.is_set():
                return
            if not transfers.download(s3, channel.source, folder.channel(channel.name)):
                raise TrainingJobFailed(
                    f"ClientError: Data download failed:S3 key: {channel.source} "
                    "matched no files on s3"
                )
        if self._request.checkpoints is not None:
            transfers.download(s3, self._request.checkpoints, folder.checkpoints)

    async def _train(self, image: ContainerImage, folder: TrainingFolder) -> RunOutcome:
        if self._stop.is_set():
            return RunOutcome.STOPPED
        uploaded = transfers.file_versions(folder.checkpoints)
        child = processes.start(
            image.train, self._environment(image, folder), self._containers.log(self._request.name),
            self._request.name, image.cwd or folder.root,
        )  # fmt: skip
        tasks = [asyncio.ensure_future(self._log.follow(self._listener.on_output))]
        tasks += [asyncio.ensure_future(self._keep_checkpoints(folder, uploaded))]
        try:
            ended, status = await self._until_ended(child)
        finally:
            child.terminate(CLOSE_SECONDS)
            await asyncio.wrap_future(child.exited)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._upload_checkpoints, folder, uploaded)
        if ended is RunOutcome.COMPLETED and status != 0:
            with suppress(ClientError, BotoCoreError):  # the original error is more important
                await asyncio.to_thread(self._upload, folder, "output.tar.gz", folder.data)
            raise TrainingJobFailed(self._reason(folder, status))
        return ended

    async def _until_ended(self, child: processes.Child) -> tuple[RunOutcome, int]:
        exited = asyncio.wrap_future(child.exited)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            either: set[asyncio.Future[Any]] = {exited, stop}
            limit = self._request.max_seconds
            await asyncio.wait(either, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        if exited.done():
            return RunOutcome.COMPLETED, exited.result()
        child.terminate(STOP_SECONDS)
        return RunOutcome.STOPPED if self._stop.is_set() else RunOutcome.OUT_OF_TIME, await exited

    def _reason(self, folder: TrainingFolder, status: int) -> str:
        log = self._containers.log(self._request.name)
        return f"AlgorithmError: {folder.failure() or f'See {log}'}, exit code: {status}"

    async def _keep_checkpoints(
        self, folder: TrainingFolder, uploaded: dict[Path, FileVersion]
    ) -> None:
        while self._request.checkpoints is not None:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            with suppress(ClientError, BotoCoreError):  # repeated at the next poll
                await asyncio.to_thread(self._upload_checkpoints, folder, uploaded)

    def _upload_checkpoints(
        self, folder: TrainingFolder, uploaded: dict[Path, FileVersion]
    ) -> None:
        if self._request.checkpoints is not None:
            s3 = self._s3()
            transfers.upload_changed(s3, folder.checkpoints, self._request.checkpoints, uploaded)

    def _upload(self, folder: TrainingFolder, name: str, source: Path) -> None:
        scratch = folder.root / name
        transfers.upload_archive(self._s3(), source, self._request.output_of(name), scratch)

    def _s3(self) -> "S3Client":
        return self._containers.roles.s3(self._request.role)

    def _environment(self, image: ContainerImage, folder: TrainingFolder) -> Mapping[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home(folder.root, self._request.is_isolated),
            "AWS_REGION": self._containers.region,
            "AWS_DEFAULT_REGION": self._containers.region,
            "TRAINING_JOB_NAME": self._request.name,
            "TRAINING_JOB_ARN": self._arn,
            **folder.environment,
            **image.env,
            **self._request.environment,
        }
