"""Transform jobs: each runs in the background; every status change is sent to EventBridge."""

import asyncio
import time
from functools import partial

from infra.local.sagemaker.containers.containers import Containers, Definition
from infra.local.sagemaker.core import listing
from infra.local.sagemaker.core.background import Background
from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.events import Events
from infra.local.sagemaker.core.machines import Fleet, Machines
from infra.local.sagemaker.core.operations import Request, Table
from infra.local.sagemaker.core.resources import MODEL, TRANSFORM_JOB
from infra.local.sagemaker.core.store import Record, Store
from infra.local.sagemaker.transform.request import TransformJobRequest
from infra.local.sagemaker.transform.run import TransformJobFailed, TransformRun

REASON_CHARACTERS = 1024
RUNNING = frozenset({"InProgress", "Stopping"})


class TransformJobs:
    def __init__(
        self, store: Store, containers: Containers, events: Events, machines: Machines
    ) -> None:
        self._store = store
        self._containers = containers
        self._events = events
        self._machines = machines
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._background = Background(TransformJobFailed)

    @property
    def operations(self) -> Table:
        return {
            "CreateTransformJob": self.create,
            "DescribeTransformJob": self.describe,
            "StopTransformJob": self.stop,
            "ListTransformJobs": self.list,
        }

    def create(self, request: Request) -> Record:
        transform = TransformJobRequest.of(dict(request))
        model = Definition.of(self._store.get(MODEL, transform.model))
        self._store.refuse_taken(TRANSFORM_JOB, transform.name)
        self._machines.take(_fleet(request))
        job = self._store.create(TRANSFORM_JOB, {**request, "TransformJobStatus": "InProgress"})
        run = self._background.start(self._run(transform, model))
        self._runs[transform.name] = run
        run.add_done_callback(partial(self._record_end, transform.name))
        return job

    def describe(self, request: Request) -> Record:
        return self._store.get(TRANSFORM_JOB, request["TransformJobName"])

    def stop(self, request: Request) -> Record:
        name = request["TransformJobName"]
        job = self._store.get(TRANSFORM_JOB, name)
        if job["TransformJobStatus"] != "InProgress":
            raise ValidationException(
                "The request was rejected because the transform job is in status "
                f"{job['TransformJobStatus']}."
            )
        self._change(name, TransformJobStatus="Stopping")
        self._runs[name].cancel()
        return {}

    def list(self, request: Request) -> Record:
        return listing.page(TRANSFORM_JOB, self._store.all(TRANSFORM_JOB), request)

    def resume(self) -> None:
        """Mark jobs that ran when the last server ended as failed.

        Resuming would require to know which outputs are complete. The client that started the job
        can start another for the missing outputs, as after any failed job, once it receives the
        status.
        """
        for job in self._store.all(TRANSFORM_JOB):
            if job["TransformJobStatus"] in RUNNING:
                reason = "InternalServerError: the local SageMaker ended while the job was running"
                self._finish(job["TransformJobName"], "Failed", reason)

    async def close(self) -> None:
        """Cancel running jobs. They stay InProgress on disk, and the next server marks them as
        failed.
        """
        await self._background.close()

    async def _run(self, transform: TransformJobRequest, model: Definition) -> None:
        job = self._store.update(TRANSFORM_JOB, transform.name, TransformStartTime=time.time())
        await self._events.changed(TRANSFORM_JOB, job)
        reason = self._containers.planted.take("TransformJob")
        if reason:
            raise TransformJobFailed(reason)
        await TransformRun(transform, self._containers).run(model)

    def _record_end(self, name: str, run: "asyncio.Task[None]") -> None:
        del self._runs[name]
        self._machines.give_back(_fleet(self._store.get(TRANSFORM_JOB, name)))
        if run.cancelled():
            if self._store.get(TRANSFORM_JOB, name)["TransformJobStatus"] == "Stopping":
                self._finish(name, "Stopped")
            return
        match run.exception():
            case None:
                self._finish(name, "Completed")
            case TransformJobFailed() as failure:
                self._finish(name, "Failed", str(failure))
            case bug:
                self._finish(name, "Failed", f"InternalServerError: {bug!r}")

    def _finish(self, name: str, status: str, reason: str | None = None) -> None:
        self._change(
            name,
            TransformJobStatus=status,
            TransformEndTime=time.time(),
            FailureReason=reason[:REASON_CHARACTERS] if reason else None,
        )

    def _change(self, name: str, **changes: object) -> None:
        job = self._store.update(TRANSFORM_JOB, name, **changes)
        self._background.start(self._events.changed(TRANSFORM_JOB, job))


def _fleet(job: Request) -> Fleet:
    resources = job["TransformResources"]
    return Fleet(resources["InstanceType"], "transform job usage", resources["InstanceCount"])
