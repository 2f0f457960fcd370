"""One training job: its channels down, its container, its results up."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local import processes
from infra.local.sagemaker.containers import transfers
from infra.local.sagemaker.containers.containers import Containers, home
from infra.local.sagemaker.containers.images import Image
from infra.local.sagemaker.containers.transfers import Seen
from infra.local.sagemaker.core.errors import ApiError
from infra.local.sagemaker.core.store import Record
from infra.local.sagemaker.debugger.rule_jobs import RuleJobs
from infra.local.sagemaker.training.folder import TrainingFolder
from infra.local.sagemaker.training.log import JobLog
from infra.local.sagemaker.training.request import TrainingPlan

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

STOP_SECONDS = 120.0
"""What SageMaker grants between SIGTERM and SIGKILL."""

CLOSE_SECONDS = 5.0
CHECKPOINT_SECONDS = 1.0


class TrainingFailed(Exception):
    """The text is the job's FailureReason."""


class Ended(Enum):
    COMPLETED = "Completed"
    STOPPED = "Stopped"
    OUT_OF_TIME = "MaxRuntimeExceeded"


class Training:
    def __init__(
        self,
        plan: TrainingPlan,
        arn: str,
        containers: Containers,
        logs: "CloudWatchLogsClient",
        enter: Callable[[str], None],
        heard: Callable[[], None],
        judged: Callable[[Record], None],
    ) -> None:
        """`enter` is told each secondary status; `heard`, that the container has said more;
        `judged`, what the debugger's rules say."""
        self._plan = plan
        self._arn = arn
        self._containers = containers
        self._enter = enter
        self._heard = heard
        self._judged = judged
        self._stop = asyncio.Event()
        self._log = JobLog(plan, containers.log(plan.name), logs)

    def stop(self) -> None:
        self._stop.set()

    @property
    def metrics(self) -> list[Record]:
        return self._log.metrics.final()

    def series(self, metric: str) -> list[float]:
        """What it has been so far, in order."""
        return self._log.metrics.series(metric)

    async def run(self) -> Ended:
        """Raises TrainingFailed."""
        folder = Path(tempfile.mkdtemp(prefix=f"{self._plan.name}-", dir=self._containers.folder))
        try:
            return await self._run(TrainingFolder(folder))
        except (ClientError, BotoCoreError, transfers.TransferRefused, ApiError) as error:
            raise TrainingFailed(f"ClientError: {error}") from error
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _run(self, folder: TrainingFolder) -> Ended:
        image = self._containers.images.find(self._plan.image)
        self._enter("Downloading")
        await asyncio.to_thread(self._fill, folder)
        self._enter("Training")
        rules = RuleJobs(self._plan.debug, image, folder, self._containers, self._judged, self.stop)
        following = asyncio.ensure_future(rules.follow())
        try:
            ended = await self._train(image, folder)
        except asyncio.CancelledError:
            rules.terminate()
            raise
        finally:
            following.cancel()
            await asyncio.to_thread(self._log.rest)
            await rules.finish()
        self._enter("Uploading")
        await asyncio.to_thread(self._upload, folder, "model.tar.gz", folder.model)
        await asyncio.to_thread(self._upload, folder, "output.tar.gz", folder.data)
        return ended

    def _fill(self, folder: TrainingFolder) -> None:
        s3 = self._containers.s3
        folder.make(self._plan)
        for channel in self._plan.channels:
            if self._stop.is_set():
                return
            if not transfers.download(s3, channel.source, folder.channel(channel.name)):
                raise TrainingFailed(
                    f"ClientError: Data download failed:S3 key: {channel.source} "
                    "matched no files on s3"
                )
        if self._plan.checkpoints is not None:
            transfers.download(s3, self._plan.checkpoints, folder.checkpoints)

    async def _train(self, image: Image, folder: TrainingFolder) -> Ended:
        if self._stop.is_set():
            return Ended.STOPPED
        kept = transfers.seen(folder.checkpoints)
        child = processes.start(
            image.train, self._environment(image, folder), self._containers.log(self._plan.name),
            self._plan.name, image.cwd,
        )  # fmt: skip
        beside = [asyncio.ensure_future(self._log.follow(self._heard))]
        beside += [asyncio.ensure_future(self._keep_checkpoints(folder, kept))]
        try:
            ended, status = await self._until_ended(child)
        finally:
            child.let_go(CLOSE_SECONDS)
            await asyncio.wrap_future(child.exited)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        await asyncio.to_thread(self._upload_checkpoints, folder, kept)
        if ended is Ended.COMPLETED and status != 0:
            with suppress(ClientError, BotoCoreError):  # what it died of says more
                await asyncio.to_thread(self._upload, folder, "output.tar.gz", folder.data)
            raise TrainingFailed(self._reason(folder, status))
        return ended

    async def _until_ended(self, child: processes.Child) -> tuple[Ended, int]:
        exited = asyncio.wrap_future(child.exited)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            either: set[asyncio.Future[Any]] = {exited, stop}
            limit = self._plan.max_seconds
            await asyncio.wait(either, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        if exited.done():
            return Ended.COMPLETED, exited.result()
        child.let_go(STOP_SECONDS)
        return Ended.STOPPED if self._stop.is_set() else Ended.OUT_OF_TIME, await exited

    def _reason(self, folder: TrainingFolder, status: int) -> str:
        log = self._containers.log(self._plan.name)
        return f"AlgorithmError: {folder.failure() or f'See {log}'}, exit code: {status}"

    async def _keep_checkpoints(self, folder: TrainingFolder, kept: dict[Path, Seen]) -> None:
        while self._plan.checkpoints is not None:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            with suppress(ClientError, BotoCoreError):  # tried again at the next look
                await asyncio.to_thread(self._upload_checkpoints, folder, kept)

    def _upload_checkpoints(self, folder: TrainingFolder, kept: dict[Path, Seen]) -> None:
        if self._plan.checkpoints is not None:
            s3 = self._containers.s3
            transfers.upload_changed(s3, folder.checkpoints, self._plan.checkpoints, kept)

    def _upload(self, folder: TrainingFolder, name: str, of: Path) -> None:
        scratch = folder.root / name
        transfers.upload_archive(self._containers.s3, of, self._plan.output_of(name), scratch)

    def _environment(self, image: Image, folder: TrainingFolder) -> Mapping[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home(folder.root, self._plan.is_isolated),
            "AWS_REGION": self._containers.region,
            "AWS_DEFAULT_REGION": self._containers.region,
            "TRAINING_JOB_NAME": self._plan.name,
            "TRAINING_JOB_ARN": self._arn,
            **folder.environment,
            **image.env,
            **self._plan.environment,
        }
