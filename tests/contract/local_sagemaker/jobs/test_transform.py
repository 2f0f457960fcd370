"""Transform jobs keep AWS's contract: what is read, what is written, how it ends, who is told."""

import pytest

from tests.contract.local_sagemaker.support.cloud import BUCKET, Cloud, expected_labels, refused
from tests.contract.local_sagemaker.support.patience import until


@pytest.fixture(scope="module")
def model(cloud: Cloud) -> str:
    return cloud.model()


def test_each_object_of_a_manifest_gets_its_output(cloud: Cloud, model: str) -> None:
    folder, images = cloud.images(12)
    cloud.put(f"{folder}not-asked-for.jpg", b"x")
    job = cloud.transform(cloud.manifest(folder, images), model)
    assert cloud.finished(job)["TransformJobStatus"] == "Completed"
    assert cloud.labels(job) == expected_labels(images)


def test_a_manifests_prefix_may_be_the_bucket(cloud: Cloud, model: str) -> None:
    """Then a relative key is the whole key, and so is an output's place."""
    folder, images = cloud.images(2)
    keys = {folder + relative: image for relative, image in images.items()}
    job = cloud.transform(cloud.manifest("", keys), model)
    assert cloud.finished(job)["TransformJobStatus"] == "Completed"
    assert cloud.labels(job) == expected_labels(keys)


def test_each_object_below_a_prefix_gets_its_output_in_its_subfolder(
    cloud: Cloud, model: str
) -> None:
    folder, images = cloud.images(2)
    cloud.put(f"{folder}deeper/c.jpg", b"c")
    cloud.put(f"{folder}placeholder/", b"")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{folder}"}
    job = cloud.transform(source, model)
    cloud.finished(job)
    assert cloud.labels(job) == expected_labels({**images, "deeper/c.jpg": b"c"})


def test_relative_keys_may_hold_any_character_and_lead_nowhere_else(
    cloud: Cloud, model: str
) -> None:
    odd = {"sub folder/a+b%20.jpg": b"1", 'quo"te\\.jpg': b"2", "été-☕.jpg": b"3"}
    folder, _ = cloud.images(0)
    for relative, image in odd.items():
        cloud.put(folder + relative, image)
    job = cloud.transform(cloud.manifest(folder, odd), model)
    cloud.finished(job)
    assert cloud.labels(job) == expected_labels(odd)


def test_an_object_the_container_fails_on_has_no_output_and_fails_the_job_at_its_end(
    cloud: Cloud,
) -> None:
    folder, images = cloud.images(5)
    job = cloud.transform(cloud.manifest(folder, images), cloud.model(STAND_IN_FAIL_AFTER="3"))
    ended = cloud.finished(job)
    assert ended["TransformJobStatus"] == "Failed"
    assert "2 object(s) failed" in ended["FailureReason"]
    assert len(cloud.labels(job)) == 3


def test_an_object_that_is_not_there_or_too_large_fails_alone(cloud: Cloud, model: str) -> None:
    folder, images = cloud.images(1)
    cloud.put(f"{folder}large.jpg", bytes(1024 * 1024 + 1))
    source = cloud.manifest(folder, [*images, "missing.jpg", "large.jpg"])
    job = cloud.transform(source, model, MaxPayloadInMB=1)
    assert "2 object(s) failed" in cloud.finished(job)["FailureReason"]
    assert cloud.labels(job) == expected_labels(images)


def test_in_batch_a_refusal_is_an_output_like_any_other(cloud: Cloud, model: str) -> None:
    folder, _ = cloud.images(0)
    cloud.put(f"{folder}bad.jpg", b"BAD")
    job = cloud.transform(cloud.manifest(folder, ["bad.jpg"]), model)
    assert cloud.finished(job)["TransformJobStatus"] == "Completed"
    assert cloud.keys(f"out/{job}/") == {"bad.jpg.out"}


def test_a_server_error_is_tried_again_and_a_refusal_is_not(cloud: Cloud) -> None:
    folder, images = cloud.images(1)
    retries = {"InvocationsMaxRetries": 2}
    for status, calls in (("500", 3), ("400", 1)):
        model = cloud.model(STAND_IN_STATUS=status)
        job = cloud.transform(cloud.manifest(folder, images), model, ModelClientConfig=retries)
        assert cloud.finished(job)["TransformJobStatus"] == "Failed"
        assert f"answered {calls}," in cloud.server.log_of(job)


def test_the_request_decides_how_many_run_at_once_then_the_container_then_one(
    cloud: Cloud,
) -> None:
    folder, images = cloud.images(6)
    asks_for_three = {"STAND_IN_PARAMETERS": '{"MaxConcurrentTransforms": 3}'}
    cases: list[tuple[dict[str, str], dict[str, int], int]] = [
        (asks_for_three, {"MaxConcurrentTransforms": 4}, 4),
        (asks_for_three, {}, 3),
        ({}, {}, 1),
    ]
    for environment, members, most in cases:
        model = cloud.model(STAND_IN_DELAY_MS="300", **environment)
        job = cloud.transform(cloud.manifest(folder, images), model, **members)
        cloud.finished(job)
        assert f"answered 6, at most {most} at once" in cloud.server.log_of(job)


def test_the_container_is_told_that_it_works_in_batch(cloud: Cloud, model: str) -> None:
    folder, images = cloud.images(1)
    members = {"MaxConcurrentTransforms": 2, "MaxPayloadInMB": 7, "BatchStrategy": "SingleRecord"}
    job = cloud.transform(
        cloud.manifest(folder, images), model, Environment={"SORTBOX_CONTAINER": "job's"}, **members
    )
    cloud.finished(job)
    log = cloud.server.log_of(job)
    assert "is_batch=True" in log
    assert "job's" in log


def test_a_stopped_job_keeps_what_it_had_written(cloud: Cloud) -> None:
    folder, images = cloud.images(40)
    model = cloud.model(STAND_IN_DELAY_MS="50")
    job = cloud.transform(cloud.manifest(folder, images), model)
    until(lambda: len(cloud.keys(f"out/{job}/")) >= 3)
    cloud.sagemaker.stop_transform_job(TransformJobName=job)
    cloud.events.until(job, {"Stopping"})
    assert cloud.finished(job)["TransformJobStatus"] == "Stopped"
    written = cloud.labels(job)
    assert 3 <= len(written) < 40
    assert written.items() <= expected_labels(images).items()
    with refused("ValidationException", "because the transform job is in status Stopped"):
        cloud.sagemaker.stop_transform_job(TransformJobName=job)


def test_events_tell_the_start_and_the_end_as_describe_does(cloud: Cloud, model: str) -> None:
    folder, images = cloud.images(1)
    source = cloud.manifest(folder, images)
    job = cloud.transform(source, model, Tags=[{"Key": "run", "Value": "7"}])
    started = cloud.events.until(job, {"InProgress"})
    ended = cloud.events.until(job, {"Completed"})
    described = cloud.sagemaker.describe_transform_job(TransformJobName=job)
    assert ended["Source"] == "aws.sagemaker"
    assert ended["DetailType"] == "SageMaker Transform Job State Change"
    assert ended["Resources"] == started["Resources"] == [described["TransformJobArn"]]
    assert ended["Detail"]["TransformInput"] == described["TransformInput"]
    assert ended["Detail"]["Tags"] == {"run": "7"}
    end = ended["Detail"]["TransformEndTime"]
    assert isinstance(end, int)
    assert abs(end / 1000 - described["TransformEndTime"].timestamp()) < 0.01


def test_jobs_are_listed_by_status_and_name(cloud: Cloud, model: str) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/none/"}
    job = cloud.transform(source, model)
    cloud.finished(job)
    listed = cloud.sagemaker.list_transform_jobs(NameContains=job, StatusEquals="Completed")
    assert job in {item["TransformJobName"] for item in listed["TransformJobSummaries"]}
    running = cloud.sagemaker.list_transform_jobs(NameContains=job, StatusEquals="InProgress")
    assert running["TransformJobSummaries"] == []
