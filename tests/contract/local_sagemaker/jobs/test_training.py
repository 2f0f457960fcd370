"""Training jobs: what the container is given, what becomes of what it leaves, how jobs end."""

import json
from typing import Any

import pytest

from infra.local import processes
from tests.contract.local_sagemaker.support.cloud import BUCKET, Cloud, channel, refused, unique
from tests.contract.local_sagemaker.support.patience import until
from tests.contract.local_sagemaker.support.server import IMAGE

LOSS = {"Name": "loss", "Regex": r"loss=([0-9.]+)"}


def seen(cloud: Cloud, job: str) -> Any:
    """What the stand-in found in its folders."""
    uri = cloud.trained(job)["ModelArtifacts"]["S3ModelArtifacts"]
    return json.loads(cloud.archived(uri)["seen.json"])


def checkpointed(cloud: Cloud, at: str, **members: Any) -> str:
    return cloud.training(CheckpointConfig={"S3Uri": f"s3://{BUCKET}/{at}"}, **members)


def until_step(cloud: Cloud, job: str, step: int) -> None:
    until(lambda: f"step={step} " in cloud.server.log_of(job))


def test_a_job_reads_its_channels_and_leaves_a_model_and_a_report(cloud: Cloud) -> None:
    job = cloud.training({"cats/1.txt": b"one", "dogs/2.txt": b"two"})
    ended = cloud.trained(job)
    assert ended["TrainingJobStatus"] == ended["SecondaryStatus"] == "Completed"
    assert seen(cloud, job)["files"] == {"data/cats/1.txt": "one", "data/dogs/2.txt": "two"}
    at = f"s3://{BUCKET}/trained/{job}/output"
    assert ended["ModelArtifacts"]["S3ModelArtifacts"] == f"{at}/model.tar.gz"
    assert cloud.archived(f"{at}/output.tar.gz") == {"report.txt": b"a report"}
    assert processes.find_running(job) == []


def test_a_job_is_told_of_its_hyperparameters_channels_and_machine(cloud: Cloud) -> None:
    config = seen(cloud, cloud.training(HyperParameters={"steps": "1", "lr": "0.1"}))["config"]
    assert config["hyperparameters"] == {"steps": "1", "lr": "0.1"}
    assert config["inputdataconfig"]["data"]["TrainingInputMode"] == "File"
    assert config["resourceconfig"]["hosts"] == ["algo-1"]
    assert config["resourceconfig"]["current_instance_type"] == "ml.m5.large"


def test_a_job_passes_through_its_states_in_order(cloud: Cloud) -> None:
    ended = cloud.trained(cloud.training())
    states = ended["SecondaryStatusTransitions"]
    names = [state["Status"] for state in states]
    assert names == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    ends = [state["EndTime"] for state in states]
    assert ends == sorted(ends)
    assert ended["TrainingTimeInSeconds"] >= 1
    assert ended["TrainingStartTime"] <= ended["TrainingEndTime"]


def test_eventbridge_is_told_of_each_change_in_describes_words(cloud: Cloud) -> None:
    job = cloud.training(Tags=[{"Key": "stage", "Value": "dev"}])
    cloud.trained(job)
    entry = cloud.events.until(job, {"Completed"}, "TrainingJob")
    assert entry["DetailType"] == "SageMaker Training Job State Change"
    detail = entry["Detail"]
    assert detail["Tags"] == {"stage": "dev"}
    assert detail["TrainingEndTime"] > 1_600_000_000_000
    assert detail["SecondaryStatusTransitions"][0]["StartTime"] > 1_600_000_000_000


def test_metrics_are_the_last_values_their_regexes_found(cloud: Cloud) -> None:
    never = {"Name": "never", "Regex": r"nothing=(\d+)"}
    asked = algorithm(MetricDefinitions=[LOSS, never])
    ended = cloud.trained(cloud.training(HyperParameters={"steps": "4"}, **asked))
    [metric] = ended["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("loss", 0.25)


def test_the_log_is_in_cloudwatch_line_by_line(cloud: Cloud) -> None:
    job = cloud.training()
    cloud.trained(job)
    group = "/aws/sagemaker/TrainingJobs"
    [stream] = cloud.logs.describe_log_streams(
        logGroupName=group, logStreamNamePrefix=f"{job}/algo-1-"
    )["logStreams"]
    events = cloud.logs.get_log_events(
        logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
    )["events"]
    lines = [event["message"] for event in events]
    assert lines == ["from step 1", "step=1 loss=1", "step=2 loss=0.5", "step=3 loss=0.3333333"]


def test_a_container_that_dies_says_why_in_the_failure_reason(cloud: Cloud) -> None:
    told = {"die_at": "2", "failure": "There is only one class."}
    ended = cloud.trained(cloud.training(HyperParameters=told))
    assert ended["TrainingJobStatus"] == "Failed"
    assert ended["FailureReason"] == "AlgorithmError: There is only one class., exit code: 3"
    assert "ModelArtifacts" not in ended


def test_a_container_that_dies_speechless_is_looked_up_in_its_log(cloud: Cloud) -> None:
    job = cloud.training(HyperParameters={"die_at": "1"})
    reason = cloud.trained(job)["FailureReason"]
    assert reason.startswith("AlgorithmError: See ")
    assert reason.endswith(f"{job}.log, exit code: 3")
    assert "told to die" in cloud.server.log_of(job)


def test_a_stopped_job_may_save_what_it_has(cloud: Cloud) -> None:
    job = cloud.training(HyperParameters={"steps": "1000", "step_ms": "20"})
    until_step(cloud, job, 2)
    cloud.sagemaker.stop_training_job(TrainingJobName=job)
    ended = cloud.trained(job)
    assert ended["TrainingJobStatus"] == ended["SecondaryStatus"] == "Stopped"
    assert seen(cloud, job) == {"ended": "early"}
    with refused("ValidationException", "in status Stopped"):
        cloud.sagemaker.stop_training_job(TrainingJobName=job)


def test_a_job_ends_when_its_time_is_over_and_keeps_its_model(cloud: Cloud) -> None:
    told = {"steps": "1000", "step_ms": "20"}
    job = cloud.training(HyperParameters=told, StoppingCondition={"MaxRuntimeInSeconds": 1})
    ended = cloud.trained(job)
    assert ended["TrainingJobStatus"] == "Stopped"
    assert ended["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert seen(cloud, job) == {"ended": "early"}


def test_checkpoints_are_kept_while_a_job_runs_and_given_to_the_next(cloud: Cloud) -> None:
    at = unique("checkpoints")
    first = checkpointed(cloud, at, HyperParameters={"steps": "1000", "step_ms": "50"})
    until(lambda: "step" in cloud.keys(f"{at}/"))
    cloud.sagemaker.stop_training_job(TrainingJobName=first)
    cloud.trained(first)
    kept = int(cloud.s3.get_object(Bucket=BUCKET, Key=f"{at}/step")["Body"].read())
    second = checkpointed(cloud, at, HyperParameters={"steps": str(kept + 2)})
    assert seen(cloud, second)["first"] == kept + 1


def test_a_job_that_the_servers_death_cut_off_has_failed_and_its_checkpoints_are_kept(
    own_cloud: Cloud,
) -> None:
    at = unique("cut")
    job = checkpointed(own_cloud, at, HyperParameters={"steps": "1000", "step_ms": "50"})
    until(lambda: "step" in own_cloud.keys(f"{at}/"))
    own_cloud.server.kill()
    until(lambda: not processes.find_running(job))
    own_cloud.server.start()
    ended = own_cloud.trained(job)
    assert ended["TrainingJobStatus"] == "Failed"
    assert "ended while the job was running" in ended["FailureReason"]
    assert "step" in own_cloud.keys(f"{at}/")


def test_a_server_that_ends_takes_its_trainings_with_it(own_cloud: Cloud) -> None:
    job = own_cloud.training(HyperParameters={"steps": "1000", "step_ms": "50"})
    until_step(own_cloud, job, 1)
    own_cloud.server.stop()
    assert processes.find_running(job) == []
    own_cloud.server.start()
    assert own_cloud.trained(job)["TrainingJobStatus"] == "Failed"


def test_a_channel_without_data_fails_the_job(cloud: Cloud) -> None:
    job = cloud.training(InputDataConfig=[channel("data", f"s3://{BUCKET}/nothing/here/")])
    assert cloud.trained(job)["FailureReason"] == (
        "ClientError: Data download failed:S3 key: "
        f"s3://{BUCKET}/nothing/here/ matched no files on s3"
    )


def test_a_key_with_an_empty_segment_fails_the_job(cloud: Cloud) -> None:
    cloud.put("twice//there/1.jpg", b"x")
    job = cloud.training(InputDataConfig=[channel("data", f"s3://{BUCKET}/twice/")])
    assert (
        f"S3 key: s3://{BUCKET}/twice//there/1.jpg has an illegal char sub-sequence '//' in it"
        in cloud.trained(job)["FailureReason"]
    )


def test_a_channel_of_one_object_is_that_file(cloud: Cloud) -> None:
    uri = cloud.put("weights/resnet.pth", b"numbers")
    job = cloud.training(InputDataConfig=[channel("weights", uri)])
    assert seen(cloud, job)["files"] == {"weights/resnet.pth": "numbers"}


def test_only_so_many_jobs_run_at_once(own_cloud: Cloud) -> None:
    long = {"steps": "1000", "step_ms": "50"}
    jobs = [own_cloud.training(HyperParameters=long) for _ in range(2)]
    with refused("ResourceLimitExceeded", "ml.m5.large for training job usage' is 2 Instances"):
        own_cloud.training()
    for job in jobs:
        own_cloud.sagemaker.stop_training_job(TrainingJobName=job)
        own_cloud.trained(job)
    own_cloud.trained(own_cloud.training())


def test_a_name_lives_for_ever(cloud: Cloud) -> None:
    job = cloud.training()
    cloud.trained(job)
    with refused("ResourceInUse", "Job name must be unique"):
        cloud.training(TrainingJobName=job)


def algorithm(**members: Any) -> dict[str, Any]:
    asked = {"TrainingImage": IMAGE, "TrainingInputMode": "File", **members}
    return {"AlgorithmSpecification": asked}


def resources(**members: Any) -> dict[str, Any]:
    asked = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1, **members}
    return {"ResourceConfig": asked}


def channels(*uris: str) -> dict[str, Any]:
    return {"InputDataConfig": [channel("data", uri) for uri in uris]}


ELSEWHERE = {"CheckpointConfig": {"S3Uri": "s3://bucket/c", "LocalPath": "/tmp/elsewhere"}}


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (algorithm(TrainingImage="no/such:image"), "image no/such:image not found"),
        (algorithm(TrainingInputMode="Pipe"), "'Pipe' is not supported by the local SageMaker"),
        (algorithm(MetricDefinitions=[{"Name": "m", "Regex": "("}]), "not a valid regex"),
        (algorithm(ContainerEntrypoint=["/bin/bash"]), "ContainerEntrypoint .* takes none"),
        (resources(InstanceCount=2), "InstanceCount 2 is not supported"),
        (resources(InstanceType="ml.nope"), "enum value set"),
        (channels("https://example.com"), "not an S3 URI"),
        (channels("s3://bucket/x", "s3://bucket/y"), "Channel names must be unique"),
        (ELSEWHERE, "it takes /opt/ml/checkpoints"),
        ({"HyperParameters": {"lr": "1" * 2501}}, "length less than or equal to 2500"),
        ({"RoleArn": "nobody-in-particular"}, "at 'roleArn' failed"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_it_starts(
    cloud: Cloud, members: dict[str, Any], sentence: str
) -> None:
    with refused("ValidationException", sentence):
        cloud.training(**members)


def test_jobs_are_listed_by_name_and_state(cloud: Cloud) -> None:
    job = cloud.training()
    cloud.trained(job)
    found = cloud.sagemaker.list_training_jobs(NameContains=job, StatusEquals="Completed")
    assert [each["TrainingJobName"] for each in found["TrainingJobSummaries"]] == [job]
    found = cloud.sagemaker.list_training_jobs(NameContains=job, StatusEquals="Failed")
    assert found["TrainingJobSummaries"] == []


def test_jobs_are_listed_in_the_documented_order_and_filtered_when_a_page_is_cut(
    cloud: Cloud,
) -> None:
    """ListTrainingJobs: "The default is Ascending"; MaxResults jobs "are first retrieved ignoring
    the StatusEquals parameter and then they are filtered".
    """
    jobs = [cloud.training() for _ in range(2)]
    for job in jobs:
        cloud.trained(job)
    pages = cloud.sagemaker.get_paginator("list_training_jobs")
    every = [
        job["TrainingJobName"] for page in pages.paginate() for job in page["TrainingJobSummaries"]
    ]
    assert [name for name in every if name in jobs] == jobs
    cut = cloud.sagemaker.list_training_jobs(StatusEquals="Failed", MaxResults=1)
    walked = [
        page["TrainingJobSummaries"]
        for page in pages.paginate(StatusEquals="Stopped", PaginationConfig={"PageSize": 1})
    ]
    assert "NextToken" in cut
    assert len(walked) == len(every), "A page of another state's job is empty, and not the last."


def test_a_job_that_never_was_is_named(cloud: Cloud) -> None:
    with refused("ResourceNotFound", "Could not find requested job with name: nope"):
        cloud.sagemaker.describe_training_job(TrainingJobName="nope")
