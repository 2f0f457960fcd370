"""Training jobs: each runs in the background; every status change is sent to EventBridge."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from infra.local.sagemaker.containers.containers import Containers
from infra.local.sagemaker.core import listing
from infra.local.sagemaker.core.background import Background
from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.events import Events
from infra.local.sagemaker.core.machines import Fleet, Machines, Use
from infra.local.sagemaker.core.operations import Request, Table
from infra.local.sagemaker.core.resources import TRAINING_JOB
from infra.local.sagemaker.core.store import Record, Store
from infra.local.sagemaker.training.request import MAX_RUNTIME_SECONDS, TrainingJobRequest
from infra.local.sagemaker.training.run import (
    RunListener,
    RunOutcome,
    TrainingJobFailed,
    TrainingRun,
)

REASON_CHARACTERS = 1024
RUNNING = frozenset({"InProgress", "Stopping"})

OBJECTIVE = "_tuning_objective_metric"
"""The hyperparameter in which SageMaker passes a tuning job's objective to the container."""

SERIES_MEMBER = "ObjectiveSeries"
"""A record member that AWS does not have. Responses contain AWS's members only, so clients do not
see it."""

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
"""Status messages by secondary status, as in AWS."""


class TrainingJobs:
    def __init__(
        self,
        store: Store,
        containers: Containers,
        events: Events,
        machines: Machines,
    ) -> None:
        self._store = store
        self._containers = containers
        self._events = events
        self._machines = machines
        self._runs: dict[str, TrainingRun] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._background = Background(TrainingJobFailed)

    @property
    def operations(self) -> Table:
        return {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "StopTrainingJob": self.stop,
            "ListTrainingJobs": self.list,
        }

    def add_listener(self, listener: Callable[[str], None]) -> None:
        """`listener` is called with the name of each job that has new log lines or has ended."""
        self._listeners.append(listener)

    def series(self, name: str, metric: str) -> list[float]:
        """The values of a metric so far; for a job that has ended, only of its tuning objective."""
        if name in self._runs:
            return self._runs[name].series(metric)
        values: list[float] = self._store.get(TRAINING_JOB, name).get(SERIES_MEMBER, [])
        return values

    def create(self, request: Request) -> Record:
        complete = _with_defaults(request)
        job = self.check(complete)
        self._store.refuse_taken(TRAINING_JOB, job.name)
        self._machines.take(_fleet(complete))
        statuses = {**job.debug.initial_statuses(), "TrainingJobStatus": "InProgress"}
        record = self._store.create(TRAINING_JOB, {**complete, **statuses})
        self._set_status(job.name, "Starting")
        listener = RunListener(
            on_status=partial(self._set_status, job.name),
            on_output=partial(self._notify, job.name),
            on_rules=partial(self._update_job, job.name),
        )
        arn = record["TrainingJobArn"]
        training = TrainingRun(job, arn, self._containers, listener)
        self._runs[job.name] = training
        run = self._background.start(training.run())
        run.add_done_callback(partial(self._record_end, job.name))
        return record

    def check(self, request: Request) -> TrainingJobRequest:
        """Parse a request. Raises ApiError if it can never run."""
        job = TrainingJobRequest.of(_with_defaults(request))
        if not self._containers.images.find(job.image).train:
            raise ValidationException(f"The image {job.image} has no `train`.")
        return job

    def refuse_impossible(self, request: Request, parallel: int) -> None:
        """Raises ResourceLimitExceeded if the quota does not allow `parallel` such jobs at the same
        time.
        """
        fleet = _fleet(request)
        self._machines.refuse_impossible(replace(fleet, count=parallel * fleet.count))

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
        self._set_status(name, "Stopping", TrainingJobStatus="Stopping")
        self._runs[name].stop()
        return {}

    def list(self, request: Request) -> Record:
        return listing.page(TRAINING_JOB, self._store.all(TRAINING_JOB), request)

    def resume(self) -> None:
        """Mark jobs that ran when the last server ended as failed; their checkpoints are in S3."""
        for job in self._store.all(TRAINING_JOB):
            if job["TrainingJobStatus"] in RUNNING:
                reason = "InternalServerError: the local SageMaker ended while the job was running"
                self._finish(job["TrainingJobName"], "Failed", FailureReason=reason)

    def _update_job(self, name: str, statuses: Record) -> None:
        self._store.update(TRAINING_JOB, name, **statuses)

    async def close(self) -> None:
        """Cancel running jobs. They stay InProgress on disk, and the next server marks them as
        failed.
        """
        await self._background.close()

    def _record_end(self, name: str, run: "asyncio.Task[RunOutcome]") -> None:
        training = self._runs.pop(name)
        self._machines.give_back(_fleet(self._store.get(TRAINING_JOB, name)))
        if run.cancelled():
            return
        hyperparameters = self._store.get(TRAINING_JOB, name).get("HyperParameters", {})
        tuned_for = hyperparameters.get(OBJECTIVE)
        metrics: Record = {"FinalMetricDataList": training.metrics or None}
        metrics[SERIES_MEMBER] = training.series(tuned_for) if tuned_for else None
        match run.exception():
            case None:
                self._finish(name, run.result().value, **metrics, **self._artifacts(name))
            case TrainingJobFailed() as failure:
                self._finish(name, "Failed", **metrics, FailureReason=str(failure))
            case bug:
                self._finish(name, "Failed", FailureReason=f"InternalServerError: {bug!r}")

    def _artifacts(self, name: str) -> Record:
        request = TrainingJobRequest.of(self._store.get(TRAINING_JOB, name))
        return {"ModelArtifacts": {"S3ModelArtifacts": str(request.output_of("model.tar.gz"))}}

    def _finish(self, name: str, secondary: str, **changes: object) -> None:
        reason = changes.get("FailureReason")
        if isinstance(reason, str):
            changes["FailureReason"] = reason[:REASON_CHARACTERS]
        now = time.time()
        began = self._store.get(TRAINING_JOB, name).get("TrainingStartTime")
        if began is not None:
            seconds = max(1, round(now - began))
            changes |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        status = "Stopped" if secondary == "MaxRuntimeExceeded" else secondary
        self._set_status(name, secondary, TrainingJobStatus=status, TrainingEndTime=now, **changes)
        self._notify(name)

    def _notify(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)

    def _set_status(self, name: str, secondary: str, **changes: object) -> None:
        job = self._store.get(TRAINING_JOB, name)
        now = time.time()
        if secondary == "Downloading":
            changes["TrainingStartTime"] = now
        transitions = _with_transition(job.get("SecondaryStatusTransitions", []), secondary, now)
        job = self._store.update(
            TRAINING_JOB,
            name,
            SecondaryStatus=secondary,
            SecondaryStatusTransitions=transitions,
            **changes,
        )
        self._background.start(self._events.changed(TRAINING_JOB, job))


def _with_defaults(request: Request) -> Record:
    """The request with the default values that Describe returns."""
    complete = {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **request,
    }
    complete["StoppingCondition"] = {
        "MaxRuntimeInSeconds": MAX_RUNTIME_SECONDS,
        **request.get("StoppingCondition", {}),
    }
    return complete


def _with_transition(transitions: list[Record], secondary: str, now: float) -> list[Record]:
    last = [{**transitions[-1], "EndTime": now}] if transitions else []
    message = MESSAGES[secondary]
    entered: Record = {"Status": secondary, "StartTime": now, "StatusMessage": message}
    if secondary in ("Completed", "Stopped", "MaxRuntimeExceeded", "Failed"):
        entered["EndTime"] = now
    return [*transitions[:-1], *last, entered]


def _fleet(job: Request) -> Fleet:
    resources, spot = job["ResourceConfig"], job.get("EnableManagedSpotTraining", False)
    use: Use = "spot training job usage" if spot else "training job usage"
    return Fleet(resources["InstanceType"], use, resources["InstanceCount"])
