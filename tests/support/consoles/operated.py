"""A stage with models, jobs, queues and alarms in it, whose AWS is moto's."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws

from console.context import Console
from domain import keys
from domain.model import ActiveModel, ModelId
from tests.support.worlds.consoles import BUCKET, REGION, mocked_console

ROLE = "arn:aws:iam::123456789012:role/training"
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/sortbox@sha256:{'1' * 64}"
JOB = "sortbox-dev-dogs-0123456789-1"
DATA = f"s3://{BUCKET}/training/data/0123abcd/"


@contextmanager
def operated_console(folder: Path, read_only: bool = False) -> Iterator[Console]:
    """dogs:1 was active, then dogs:2; `JOB` has trained it; one dead letter, one alarm that
    rings."""
    with mock_aws():
        session = boto3.Session("test", "test", region_name=REGION)
        sagemaker = session.client("sagemaker")
        with mocked_console(folder, read_only, sagemaker) as console:
            _put_models(console)
            _train(sagemaker)
            for name in ("inbox", "inbox-dead", "backlog", "folder", "page"):
                console.sqs.create_queue(QueueName=console.stage.queue(name))
            url = console.sqs.get_queue_url(QueueName="sortbox-dev-inbox-dead")["QueueUrl"]
            console.sqs.send_message(QueueUrl=url, MessageBody="{}")
            _ring(session.client("cloudwatch"))
            yield console


def _put_models(console: Console) -> None:
    for number in (1, 2):
        active = ActiveModel(
            id=ModelId("dogs", number, f"sha256:{str(number) * 64}"),
            sagemaker_model=f"sortbox-dev-dogs-{number}",
            endpoint="sortbox-dev",
            activated_at=f"2026-11-2{number}T09:00:00Z",
        )
        console.bucket.client.put_object(
            Bucket=BUCKET, Key=keys.ACTIVE_MODEL, Body=active.to_json().encode()
        )


def _train(sagemaker: Any) -> None:
    sagemaker.create_training_job(
        TrainingJobName=JOB,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        InputDataConfig=[
            {
                "ChannelName": "data",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": DATA}},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/training/jobs/"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
        HyperParameters={"epochs": "3", "name": "<script>alert(1)</script>"},
    )


def _ring(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName="sortbox-dev-inbox-dead-letters",
        AlarmDescription="Uploads failed 500 times.",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Statistic="Maximum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.set_alarm_state(
        AlarmName="sortbox-dev-inbox-dead-letters",
        StateValue="ALARM",
        StateReason="one message",
        StateReasonData=json.dumps({}),
    )


def log_epochs(epochs: int, job: str = JOB) -> None:
    """What a job's container prints. To be called within `operated_console`."""
    logs = boto3.client("logs", region_name=REGION)
    group = "/aws/sagemaker/TrainingJobs"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=f"{job}/algo-1")
    now = int(time.time()) * 1000
    lines = ["reading the images"]
    for epoch in range(1, epochs + 1):
        lines.append(
            f"epoch={epoch} train_loss={1 / epoch:.7g} train_accuracy=0.5 "
            f"validation_loss={2 / epoch:.7g} validation_accuracy=0.25 seconds=1"
        )
    for start in range(0, len(lines), 1000):
        logs.put_log_events(
            logGroupName=group,
            logStreamName=f"{job}/algo-1",
            logEvents=[
                {"timestamp": now + start + number, "message": line}
                for number, line in enumerate(lines[start : start + 1000])
            ],
        )
