"""The page of training: a form, the jobs, and one job with its curves."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import Any

import boto3
from botocore.exceptions import ClientError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from aws.errors import is_missing
from console.actions.routes import runner_of
from console.actions.runner import Runner
from console.actions.verbs import JOB
from console.context import Console
from console.models.versions import Versions, final_metrics
from console.train.curves import CurveReader
from console.web.events import Hub
from console.web.rendering import page, trouble
from domain.instance import DEFAULT_TYPE
from infra.review.stored import CorrectionStore
from training.config.hyperparameter import flag
from training.config.train_config import TrainConfig
from training.launch import limits
from training.launch.live_jobs import LIVE_STATES

SHOWN_JOBS = 30
SHOWN_TRIALS = 100
VERBS = ("train", "tune", "train-corrections", "stop")


@dataclass(frozen=True, slots=True)
class TrainPages:
    console: Console
    runner: Runner
    versions: Versions
    curves: CurveReader
    corrections: CorrectionStore

    def page(self, request: Request) -> Response:
        name = request.query_params.get("job", "")
        if name:
            return self._job_page(request, name)
        self.corrections.refresh(datetime.now(UTC))
        jobs, has_more = self.console.catalog.rows("jobs")
        data = self.versions.active_facts().data
        covered = self.versions.coverage_of(data)
        return page(
            request,
            "train/train.html.jinja",
            title="Train",
            action=self.runner.latest(*VERBS),
            verbs=VERBS,
            jobs=jobs[:SHOWN_JOBS],
            has_more=has_more or len(jobs) > SHOWN_JOBS,
            live=LIVE_STATES,
            corrections=self.corrections.totals(),
            new=self.corrections.totals(beyond=covered).corrected,
            left_out=sum(one.left_out for one in covered),
            data=data,
            options=form_options(),
            is_billed=self.console.is_billed,
            instance_type=DEFAULT_TYPE,
            hours=limits.DEFAULT_HOURS,
        )

    def _job_page(self, request: Request, name: str) -> Response:
        job = self._describe(name)
        if job is None:
            return trouble(request, f"There is no job {name[:70]}.", HTTPStatus.NOT_FOUND)
        is_search = "HyperParameterTuningJobStatus" in job
        status = job["HyperParameterTuningJobStatus" if is_search else "TrainingJobStatus"]
        return page(
            request,
            "train/job.html.jinja",
            title=name,
            name=name,
            state=status,
            is_search=is_search,
            is_live=status in LIVE_STATES,
            reason=job.get("FailureReason", ""),
            metrics=final_metrics(job),
            values=sorted(job.get("HyperParameters", {}).items()),
            trials=self._trials(name) if is_search else [],
        )

    def curve(self, request: Request) -> Response:
        """The epochs of a job, and what it does."""
        name = request.path_params["job"]
        job = self._describe(name)
        if job is None or "TrainingJobStatus" not in job:
            return trouble(request, f"There is no training job {name[:70]}.", HTTPStatus.NOT_FOUND)
        status = job["TrainingJobStatus"]
        about = {
            "status": status,
            "live": status in LIVE_STATES,
            "reason": job.get("FailureReason"),
        }
        about["secondary"] = job.get("SecondaryStatus", "")
        return JSONResponse(self.curves.read(job) | about)

    def _describe(self, name: str) -> Mapping[str, Any] | None:
        """A training job, or a search of that name. None if there is neither."""
        if not JOB.fullmatch(name):
            return None
        sagemaker = self.console.sagemaker
        try:
            return sagemaker.describe_training_job(TrainingJobName=name)
        except ClientError as error:
            if not is_missing(error):
                raise
        try:
            return sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        except ClientError as error:
            if not is_missing(error):
                raise
        return None

    def _trials(self, search: str) -> list[dict[str, Any]]:
        """The best first."""
        pages = self.console.sagemaker.get_paginator(
            "list_training_jobs_for_hyper_parameter_tuning_job"
        ).paginate(
            HyperParameterTuningJobName=search,
            SortBy="FinalObjectiveMetricValue",
            SortOrder="Descending",
        )
        trials = (trial for page in pages for trial in page["TrainingJobSummaries"])
        return [
            {
                "job": one["TrainingJobName"],
                "status": one["TrainingJobStatus"],
                "value": one.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value"),
                "tuned": sorted(one.get("TunedHyperParameters", {}).items()),
            }
            for one in islice(trials, SHOWN_TRIALS)
        ]


def form_options() -> list[dict[str, Any]]:
    """A field of the form for each hyperparameter, from the one list that there is."""
    options = []
    for spec in fields(TrainConfig):
        rules = spec.metadata
        options.append(
            {
                "name": flag(spec),
                "means": rules["means"],
                "default": str(spec.default),
                "choices": rules.get("choices", ()),
                "is_number": "low" in rules,
                "is_advanced": rules["advanced"],
            }
        )
    return options


def routes(console: Console, hub: Hub) -> list[BaseRoute]:
    logs = boto3.client("logs", region_name=console.bucket.client.meta.region_name)
    pages = TrainPages(
        console,
        runner_of(console),
        Versions(console),
        CurveReader(logs),
        CorrectionStore(console.bucket, console.folder),
    )
    return [Route("/train", pages.page), Route("/api/jobs/{job}/curves", pages.curve)]
