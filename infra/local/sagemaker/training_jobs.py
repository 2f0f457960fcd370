"""Training jobs: one run each in the background, every change told to EventBridge."""

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from infra.local.sagemaker import listing
from infra.local.sagemaker.background import Background
from infra.local.sagemaker.containers import Containers
from infra.local.sagemaker.errors import ResourceLimitExceeded, ValidationException
from infra.local.sagemaker.events import Events
from infra.local.sagemaker.kinds import TRAINING_JOB
from infra.local.sagemaker.operations import Request, Table
from infra.local.sagemaker.store import Record, Store
from infra.local.sagemaker.training import Ended, Training, TrainingFailed
from infra.local.sagemaker.training_plan import MAX_RUNTIME_SECONDS, TrainingPlan

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

REASON_LENGTH = 1024
RUNNING = frozenset({"InProgress", "Stopping"})

MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Failed": "Training job failed",
}
"""By secondary status, in AWS's words."""


class TrainingJobs:
    def __init__(
        self,
        store: Store,
        containers: Containers,
        logs: "CloudWatchLogsClient",
        events: Events,
        limit: int,
    ) -> None:
        self._store = store
        self._containers = containers
        self._logs = logs
        self._events = events
        self._limit = limit
        self._runs: dict[str, Training] = {}
        self._background = Background(TrainingFailed)

    @property
    def operations(self) -> Table:
        return {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "StopTrainingJob": self.stop,
            "ListTrainingJobs": self.list,
        }

    def create(self, request: Request) -> Record:
        asked = _with_defaults(request)
        plan = TrainingPlan.of(asked)
        if not self._containers.images.find(plan.image).train:
            raise ValidationException(f"The image {plan.image} has no `train`.")
        if len(self._runs) >= self._limit:
            raise ResourceLimitExceeded(_quota(plan, self._limit, len(self._runs)))
        job = self._store.create(TRAINING_JOB, {**asked, "TrainingJobStatus": "InProgress"})
        self._enter(plan.name, "Starting")
        enter = partial(self._enter, plan.name)
        training = Training(plan, job["TrainingJobArn"], self._containers, self._logs, enter)
        self._runs[plan.name] = training
        self._background.start(training.run()).add_done_callback(partial(self._ended, plan.name))
        return job

    def describe(self, request: Request) -> Record:
        return self._store.get(TRAINING_JOB, request["TrainingJobName"])

    def stop(self, request: Request) -> Record:
        name = request["TrainingJobName"]
        job = self._store.get(TRAINING_JOB, name)
        if job["TrainingJobStatus"] != "InProgress":
            raise ValidationException(
                "The request was rejected because the training job is in status "
                f"{job['TrainingJobStatus']}."
            )
        self._enter(name, "Stopping", TrainingJobStatus="Stopping")
        self._runs[name].stop()
        return {}

    def list(self, request: Request) -> Record:
        return listing.page(TRAINING_JOB, self._store.all(TRAINING_JOB), request)

    def resume(self) -> None:
        """Jobs that ran when the last server died have failed; their checkpoints are in S3."""
        for job in self._store.all(TRAINING_JOB):
            if job["TrainingJobStatus"] in RUNNING:
                reason = "InternalServerError: the local SageMaker ended while the job was running"
                self._finish(job["TrainingJobName"], "Failed", FailureReason=reason)

    async def close(self) -> None:
        """Runs are cut off and stay InProgress on disk: the next server reports them."""
        await self._background.close()

    def _ended(self, name: str, run: "asyncio.Task[Ended]") -> None:
        training = self._runs.pop(name)
        if run.cancelled():
            return
        metrics = {"FinalMetricDataList": training.metrics or None}
        match run.exception():
            case None:
                self._finish(name, run.result().value, **metrics, **self._artifacts(name))
            case TrainingFailed() as failure:
                self._finish(name, "Failed", **metrics, FailureReason=str(failure))
            case bug:
                self._finish(name, "Failed", FailureReason=f"InternalServerError: {bug!r}")

    def _artifacts(self, name: str) -> Record:
        plan = TrainingPlan.of(self._store.get(TRAINING_JOB, name))
        return {"ModelArtifacts": {"S3ModelArtifacts": str(plan.output_of("model.tar.gz"))}}

    def _finish(self, name: str, secondary: str, **changes: object) -> None:
        reason = changes.get("FailureReason")
        if isinstance(reason, str):
            changes["FailureReason"] = reason[:REASON_LENGTH]
        now = time.time()
        began = self._store.get(TRAINING_JOB, name).get("TrainingStartTime")
        if began is not None:
            seconds = max(1, round(now - began))
            changes |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        status = "Stopped" if secondary == "MaxRuntimeExceeded" else secondary
        self._enter(name, secondary, TrainingJobStatus=status, TrainingEndTime=now, **changes)

    def _enter(self, name: str, secondary: str, **changes: object) -> None:
        job = self._store.get(TRAINING_JOB, name)
        now = time.time()
        if secondary == "Downloading":
            changes["TrainingStartTime"] = now
        transitions = _entered(job.get("SecondaryStatusTransitions", []), secondary, now)
        job = self._store.update(
            TRAINING_JOB,
            name,
            SecondaryStatus=secondary,
            SecondaryStatusTransitions=transitions,
            **changes,
        )
        self._background.start(self._events.changed(TRAINING_JOB, job))


def _with_defaults(request: Request) -> Record:
    """What Describe shows although nobody asked for it."""
    asked = {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **request,
    }
    asked["StoppingCondition"] = {
        "MaxRuntimeInSeconds": MAX_RUNTIME_SECONDS,
        **request.get("StoppingCondition", {}),
    }
    return asked


def _entered(transitions: list[Record], secondary: str, now: float) -> list[Record]:
    last = [{**transitions[-1], "EndTime": now}] if transitions else []
    message = MESSAGES[secondary]
    entered: Record = {"Status": secondary, "StartTime": now, "StatusMessage": message}
    if secondary in ("Completed", "Stopped", "MaxRuntimeExceeded", "Failed"):
        entered["EndTime"] = now
    return [*transitions[:-1], *last, entered]


def _quota(plan: TrainingPlan, limit: int, running: int) -> str:
    return (
        f"The account-level service limit '{plan.instance_type} for training job usage' is "
        f"{limit} Instances, with current utilization of {running} Instances and a request delta "
        "of 1 Instances."
    )
