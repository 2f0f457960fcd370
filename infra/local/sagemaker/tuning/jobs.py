"""Tuning jobs: run training jobs with hyperparameters that are chosen one after another.

`_advance` is the only step. Every event calls it: a request, a trial that logged a metric or ended,
a timer, a restarted server. It reads the records and does what is due, so an extra call is
harmless.
"""

import asyncio
import time
import uuid
import zlib
from collections.abc import Sequence

from infra.local.sagemaker.core import listing
from infra.local.sagemaker.core.background import Background
from infra.local.sagemaker.core.errors import ApiError, ResourceLimitExceeded, ValidationException
from infra.local.sagemaker.core.events import Events
from infra.local.sagemaker.core.operations import Request, Table
from infra.local.sagemaker.core.resources import TRAINING_JOB, TRIAL, TUNING_JOB
from infra.local.sagemaker.core.store import Record, Store
from infra.local.sagemaker.training.jobs import OBJECTIVE, TrainingJobs
from infra.local.sagemaker.tuning import decision, search
from infra.local.sagemaker.tuning.decision import EndTuning, StartTrials
from infra.local.sagemaker.tuning.request import TuningJobRequest
from infra.local.sagemaker.tuning.search import ScoredValues
from infra.local.sagemaker.tuning.trials import RUNNING, TUNED, TuningRecords, TuningTrial


class TuningJobs:
    def __init__(self, store: Store, trainings: TrainingJobs, events: Events) -> None:
        self._store = store
        self._records = TuningRecords(store)
        self._trainings = trainings
        self._events = events
        self._background = Background()
        trainings.add_listener(self._on_job_change)

    @property
    def operations(self) -> Table:
        return {
            "CreateHyperParameterTuningJob": self.create,
            "DescribeHyperParameterTuningJob": self.describe,
            "StopHyperParameterTuningJob": self.stop,
            "ListHyperParameterTuningJobs": self.list,
            "ListTrainingJobsForHyperParameterTuningJob": self.list_trials,
        }

    def create(self, request: Request) -> Record:
        tuning = TuningJobRequest.of(dict(request))
        trial = tuning.request(_trial_name(tuning.name, 1), {})
        self._trainings.check(trial)
        self._trainings.refuse_impossible(trial, tuning.parallel)
        self._records.check_parents(tuning)
        job = self._store.create(
            TUNING_JOB,
            {**_with_objective(request, tuning), "HyperParameterTuningJobStatus": "InProgress"},
        )
        self._publish(job)
        self._begin(job)
        return job

    def describe(self, request: Request) -> Record:
        return self._records.describe(
            self._store.get(TUNING_JOB, request["HyperParameterTuningJobName"])
        )

    def stop(self, request: Request) -> Record:
        name = request["HyperParameterTuningJobName"]
        status = self._store.get(TUNING_JOB, name)["HyperParameterTuningJobStatus"]
        if status != "InProgress":
            raise ValidationException(
                "The request was rejected because the hyperparameter tuning job is in status "
                f"{status}."
            )
        self._change(name, HyperParameterTuningJobStatus="Stopping")
        self._advance(name)
        return {}

    def list(self, request: Request) -> Record:
        shown = [self._records.describe(job) for job in self._store.all(TUNING_JOB)]
        return listing.page(TUNING_JOB, shown, request)

    def list_trials(self, request: Request) -> Record:
        """The trials. Those without a score are omitted if the list is sorted by score, as
        in AWS.
        """
        job = self._store.get(TUNING_JOB, request["HyperParameterTuningJobName"])
        tuning, trials = TuningJobRequest.of(job), self._records.trials(job)
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            trials = [trial for trial in trials if trial.score is not None]
        return listing.page(TRIAL, [trial.summary(tuning) for trial in trials], request)

    def resume(self) -> None:
        """Continue the tuning jobs. Training jobs must be resumed before, which marks interrupted
        trials as failed.
        """
        for job in self._store.all(TUNING_JOB):
            if job["HyperParameterTuningJobStatus"] in RUNNING:
                self._begin(job)

    async def close(self) -> None:
        await self._background.close()

    def _begin(self, job: Record) -> None:
        """Schedule the first step, so that the request is answered before the first trial
        starts.
        """
        name, tuning = job["HyperParameterTuningJobName"], TuningJobRequest.of(job)
        loop = asyncio.get_running_loop()
        loop.call_soon(self._advance, name)
        if tuning.max_seconds is not None:
            left = job["CreationTime"] + tuning.max_seconds - time.time()
            loop.call_later(max(0.0, left), self._advance, name)

    def _on_job_change(self, trial: str) -> None:
        """Advance tuning jobs after a change of a training job. The end of any job may free
        instances for any tuning job.
        """
        record = self._store.get(TRAINING_JOB, trial)
        ended = record["TrainingJobStatus"] not in RUNNING
        for job in self._store.all(TUNING_JOB):
            own = record.get("TuningJobArn") == job["HyperParameterTuningJobArn"]
            if (own or ended) and job["HyperParameterTuningJobStatus"] in RUNNING:
                asyncio.get_running_loop().call_soon(
                    self._advance, job["HyperParameterTuningJobName"]
                )

    def _advance(self, name: str) -> None:
        job = self._store.get(TUNING_JOB, name)
        if job["HyperParameterTuningJobStatus"] not in RUNNING:
            return
        tuning, trials = TuningJobRequest.of(job), self._records.trials(job)
        stopping = job["HyperParameterTuningJobStatus"] == "Stopping"
        age = time.time() - job["CreationTime"]
        in_time = tuning.max_seconds is None or age < tuning.max_seconds
        match decision.decide(tuning, trials, stopping, in_time):
            case StartTrials(count):
                self._stop_hopeless(tuning, trials)
                self._start(job, tuning, trials, count)
            case EndTuning() as end:
                self._end(job, tuning, trials, end)

    def _start(
        self, job: Record, tuning: TuningJobRequest, trials: Sequence[TuningTrial], count: int
    ) -> None:
        began = [*trials]
        for _ in range(count):
            tried = [ScoredValues(trial.record[TUNED], trial.score) for trial in began]
            values = search.next_values(
                tuning, tried, _seed(job, tuning), self._records.parent_trials(tuning)
            )
            request = tuning.request(_trial_name(tuning.name, len(began) + 1), values)
            own = {TUNED: values, "TuningJobArn": job["HyperParameterTuningJobArn"]}
            try:
                record = self._trainings.create({**request, **own})
            except ResourceLimitExceeded:
                return  # instances are in use; the end of a job triggers the next attempt
            except ApiError as error:  # for example, the image was deleted meanwhile
                self._finish(tuning.name, EndTuning("Failed", str(error)))
                return
            began.append(TuningTrial.of(record, tuning.metric))

    def _stop_hopeless(self, tuning: TuningJobRequest, trials: Sequence[TuningTrial]) -> None:
        if not tuning.stops_early:
            return
        before = [
            self._trainings.series(trial.name, tuning.metric)
            for trial in trials
            if trial.status == "Completed"
        ]
        for trial in trials:
            series = self._trainings.series(trial.name, tuning.metric)
            if trial.status == "InProgress" and decision.is_hopeless(tuning, series, before):
                self._trainings.stop({"TrainingJobName": trial.name})

    def _end(
        self, job: Record, tuning: TuningJobRequest, trials: Sequence[TuningTrial], end: EndTuning
    ) -> None:
        running = [trial for trial in trials if not trial.has_ended]
        for trial in running:
            if trial.status == "InProgress":
                self._trainings.stop({"TrainingJobName": trial.name})
        if not running:
            self._finish(tuning.name, end)

    def _finish(self, name: str, end: EndTuning) -> None:
        self._change(
            name,
            HyperParameterTuningJobStatus=end.status,
            HyperParameterTuningEndTime=time.time(),
            FailureReason=end.reason,
        )

    def _change(self, name: str, **changes: object) -> None:
        self._publish(self._store.update(TUNING_JOB, name, **changes))

    def _publish(self, job: Record) -> None:
        self._background.start(self._events.changed(TUNING_JOB, self._records.describe(job)))


def _with_objective(request: Request, tuning: TuningJobRequest) -> Record:
    """The request with the tuning objective, which AWS passes to the container and shows among the
    static hyperparameters.
    """
    definition = tuning.definition
    static = {**definition.get("StaticHyperParameters", {}), OBJECTIVE: tuning.metric}
    return {**request, "TrainingJobDefinition": {**definition, "StaticHyperParameters": static}}


def _trial_name(tuning: str, number: int) -> str:
    return f"{tuning}-{number:03d}-{uuid.uuid4().hex[:8]}"


def _seed(job: Record, tuning: TuningJobRequest) -> int:
    """The seed from the request, or derived from the job, so that a restarted server continues the
    same search.
    """
    seed = tuning.seed
    return seed if seed is not None else zlib.crc32(repr(job["CreationTime"]).encode())
