"""Steps of the acceptance run that train a model and promote it."""

import os
from dataclasses import replace
from typing import Any

import boto3
from rich.console import Console

from domain.foreign import visible
from domain.instance import DEFAULT_TYPE
from domain.keys import INBOX
from domain.model import ModelCard
from infra import job_reports
from infra.models import image_choice
from infra.verify import drawings
from infra.verify.answer_steps import SINGLE_MINUTES, InboxFile, answers
from infra.verify.step import KEY_PREFIX, Site, Step, StepFailed, Usage
from training.launch import job, promote
from training.launch.watching.watch import FINAL_STATES, JobLogReader

NAME = "verify"
HYPERPARAMETERS = {"name": NAME, "epochs": "6", "lr": "0.01", "batch-size": "8"}
LEAST_ACCURACY = 0.7
TRAINING_MINUTES = 20.0


def steps() -> list[Step]:
    images = sum(drawings.SPLITS.values()) * len(drawings.SHAPES)
    return [
        Step(
            name="train",
            requested=f"a training job on {images} drawn images of {len(drawings.SHAPES)} classes",
            expected="it completes with a model and its reports, and an accuracy of at least "
            f"{LEAST_ACCURACY} on its test images",
            usage=Usage(minutes=6, most_minutes=TRAINING_MINUTES, machines=2),
            act=train,
            needs=("model",),
        ),
        Step(
            name="promote",
            requested="promote: evaluate the trained model and make it active",
            expected="a blue/green update of the endpoint, and then answers by the trained model",
            usage=Usage(minutes=11, most_minutes=60, machines=2),
            act=promote_trained,
            needs=("train",),
        ),
    ]


def train(site: Site) -> str:
    data = drawings.write(site.folder / "drawings")
    image = site.image_for(image_choice.for_training(DEFAULT_TYPE))
    request = job.job_request(site.stage, image, str(data), HYPERPARAMETERS)
    request = replace(request, max_hours=TRAINING_MINUTES / 60)
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")  # as `job.run` does
    name = job.prepare_and_start(request, boto3.Session(), Console())
    sagemaker, log = site.client("sagemaker"), JobLogReader(site.client("logs"), name)

    def ended() -> dict[str, Any] | None:
        for line in log.read_new():
            print(visible(line))
        description: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        return description if description["TrainingJobStatus"] in FINAL_STATES else None

    try:
        description = site.wait(ended, f"the training job {name}", TRAINING_MINUTES)
    except BaseException:  # Ctrl-C too: the job would go on and bill
        sagemaker.stop_training_job(TrainingJobName=name)
        raise
    if description["TrainingJobStatus"] != "Completed":
        reason = description.get("FailureReason", "it gives no reason")
        raise StepFailed(f"{name} is {description['TrainingJobStatus']}: {reason}")
    reports = job_reports.fetch(site.client("s3"), site.stage.bucket, name, site.folder / "reports")
    if "report.html" not in {path.name for path in reports}:
        raise StepFailed(f"{name} completed without report.html.")
    metrics = {
        metric["MetricName"]: metric["Value"]
        for metric in description.get("FinalMetricDataList", [])
    }
    accuracy = metrics.get("final_accuracy")
    if accuracy is None or accuracy < LEAST_ACCURACY:
        raise StepFailed(f"{name} completed with an accuracy of {accuracy}.")
    return f"{name} completed, accuracy {accuracy:.2f}"


def promote_trained(site: Site) -> str:
    """The newest job: the stage is the run's own."""

    def image_for(card: ModelCard) -> str:
        kind = site.stage.endpoint_instance_type
        return site.image_for(image_choice.for_model(card, kind))

    options = promote.PromotionOptions(replace_labels=True)
    active = promote.run(site.stage, image_for, promote.CandidateSource(), options, Console())
    endpoint = site.client("sagemaker").describe_endpoint(EndpointName=site.stage.endpoint)
    if "BlueGreenUpdatePolicy" not in endpoint.get("LastDeploymentConfig", {}):
        raise StepFailed(f"the endpoint was not updated by blue/green: {endpoint}")
    uploads = [
        InboxFile(f"{INBOX}{KEY_PREFIX}-{shape}.jpg", drawings.draw(shape, "inbox"))
        for shape in drawings.SHAPES
    ]
    answered = answers(site, uploads, SINGLE_MINUTES)
    others = {str(answer.by.model) for answer in answered if answer.by} - {str(active.id)}
    if others:
        raise StepFailed(f"answers came by {', '.join(sorted(others))}, not by {active.id}.")
    return f"{active.id} is active after a blue/green update, and answers"
