"""Training jobs: one run each in the background, every change told to EventBridge."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from infra.local.sagemaker.containers.containers import Containers
from infra.local.sagemaker.core import listing
from infra.local.sagemaker.core.background import Background
from infra.local.sagemaker.core.errors import ResourceLimitExceeded, ValidationException
from infra.local.sagemaker.core.events import Events
from infra.local.sagemaker.core.operations import Request, Table
from infra.local.sagemaker.core.resources import TRAINING_JOB
from infra.local.sagemaker.core.store import Record, Store
from infra.local.sagemaker.training.request import MAX_RUNTIME_SECONDS, TrainingPlan
from infra.local.sagemaker.training.run import Ended, Training, TrainingFailed

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

REASON_LENGTH = 1024
RUNNING = frozenset({"InProgress", "Stopping"})

OBJECTIVE = "_tuning_objective_metric"
"""The hyperparameter by which SageMaker tells a container what it is tuned for."""

SERIES_KEPT = "ObjectiveSeries"
"""A member of our own; answers are cut to AWS's, so nobody sees it."""

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
        self._heard: list[Callable[[str], None]] = []
        self._background = Background(TrainingFailed)

    @property
    def operations(self) -> Table:
        return {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "StopTrainingJob": self.stop,
            "ListTrainingJobs": self.list,
        }

    def watch(self, heard: Callable[[str], None]) -> None:
        """`heard` is told the name of each job that has said more, or has ended."""
        self._heard.append(heard)

    def series(self, name: str, metric: str) -> list[float]:
        """What a metric has been so far; of a job that has ended, of what it was tuned for."""
        if name in self._runs:
            return self._runs[name].series(metric)
        kept: list[float] = self._store.get(TRAINING_JOB, name).get(SERIES_KEPT, [])
        return kept

    def create(self, request: Request) -> Record:
        asked = _with_defaults(request)
        plan = self.check(asked)
        if len(self._runs) >= self._limit:
            raise ResourceLimitExceeded(_quota(plan, self._limit, len(self._runs)))
        job = self._store.create(
            TRAINING_JOB,
            {**asked, **plan.debug.initial_statuses(), "TrainingJobStatus": "InProgress"},
        )
        self._enter(plan.name, "Starting")
        enter, heard = partial(self._enter, plan.name), partial(self._tell, plan.name)
        arn, judged = job["TrainingJobArn"], partial(self._judged, plan.name)
        training = Training(plan, arn, self._containers, self._logs, enter, heard, judged)
        self._runs[plan.name] = training
        self._background.start(training.run()).add_done_callback(partial(self._ended, plan.name))
        return job

    def check(self, request: Request) -> TrainingPlan:
        """Raises ApiError for what could never run."""
        plan = TrainingPlan.of(_with_defaults(request))
        if not self._containers.images.find(plan.image).train:
            raise ValidationException(f"The image {plan.image} has no `train`.")
        return plan

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

    def _judged(self, name: str, statuses: Record) -> None:
        self._store.update(TRAINING_JOB, name, **statuses)

    async def close(self) -> None:
        """Runs are cut off and stay InProgress on disk: the next server reports them."""
        await self._background.close()

    def _ended(self, name: str, run: "asyncio.Task[Ended]") -> None:
        training = self._runs.pop(name)
        if run.cancelled():
            return
        told = self._store.get(TRAINING_JOB, name).get("HyperParameters", {})
        tuned_for = told.get(OBJECTIVE)
        metrics: Record = {"FinalMetricDataList": training.metrics or None}
        metrics[SERIES_KEPT] = training.series(tuned_for) if tuned_for else None
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
        self._tell(name)

    def _tell(self, name: str) -> None:
        for heard in self._heard:
            heard(name)

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
