"""Transform jobs keep AWS's contract: what is read, what is written, how it ends, who is told."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_sagemaker.cloud import BUCKET, Cloud, expected_labels, until


def refused(expected: str, match: str) -> Any:
    return pytest.raises(ClientError, match=rf"\({expected}\).*{match}")


@pytest.fixture(scope="module")
def model(cloud: Cloud) -> str:
    return cloud.model()


def input_of(source: dict[str, Any], **members: str) -> dict[str, Any]:
    return {"DataSource": {"S3DataSource": source}, **members}


def test_each_object_of_a_manifest_gets_its_output(cloud: Cloud, model: str) -> None:
    folder, images = cloud.images(12)
    cloud.put(f"{folder}not-asked-for.jpg", b"x")
    job = cloud.transform(cloud.manifest(folder, images), model)
    assert cloud.finished(job)["TransformJobStatus"] == "Completed"
    assert cloud.labels(job) == expected_labels(images)


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
    folder, images = cloud.images(12)
    asks_for_three = {"STAND_IN_PARAMETERS": '{"MaxConcurrentTransforms": 3}'}
    cases: list[tuple[dict[str, str], dict[str, int], int]] = [
        (asks_for_three, {"MaxConcurrentTransforms": 4}, 4),
        (asks_for_three, {}, 3),
        ({}, {}, 1),
    ]
    for environment, members, most in cases:
        model = cloud.model(STAND_IN_DELAY_MS="100", **environment)
        job = cloud.transform(cloud.manifest(folder, images), model, **members)
        cloud.finished(job)
        assert f"answered 12, at most {most} at once" in cloud.server.log_of(job)


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


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"MaxConcurrentTransforms": 11, "MaxPayloadInMB": 10}, "exceeds 100 MB"),
        ({"MaxPayloadInMB": 0}, "MaxPayloadInMB 0"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "DataProcessing.JoinSource 'Input'"),
        (
            {
                "TransformInput": input_of(
                    {"S3DataType": "S3Prefix", "S3Uri": "s3://b/"}, SplitType="Line"
                )
            },
            "TransformInput.SplitType 'Line' is not supported",
        ),
        (
            {"TransformInput": input_of({"S3DataType": "S3Prefix", "S3Uri": "https://b/"})},
            "not an S3 URI",
        ),
    ],
)
def test_what_no_job_can_do_is_refused_at_once(
    cloud: Cloud, model: str, members: dict[str, Any], sentence: str
) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/none/"}
    with refused("ValidationException", sentence):
        cloud.transform(source, model, **members)


def test_a_job_of_a_model_that_is_not_there_is_refused(cloud: Cloud) -> None:
    with refused("ValidationException", "Could not find model"):
        cloud.transform({"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/none/"}, "nope")


def test_a_job_name_is_taken_for_ever(cloud: Cloud, model: str) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/none/"}
    job = cloud.transform(source, model)
    assert cloud.finished(job)["TransformJobStatus"] == "Completed"
    with refused("ResourceInUse", "Job name must be unique"):
        cloud.transform(source, model, TransformJobName=job)


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (None, "Could not read the manifest"),
        (b"[]", "the first element must be"),
        (b'{"prefix": "s3://b/"}', "manifest: expected '['"),
        (b'[{"prefix": "s3://b/"}, 7]', "7 is not a relative key"),
        (b'[{"prefix": "s3://b/"} "a"]', "manifest: expected ','"),
        (b'[{"prefix": "s3://b/"}, "a', "manifest: Unterminated string"),
        (b'[{"prefix": "s3://b/"}', "manifest: expected ',', found ''"),
    ],
)
def test_a_manifest_that_cannot_be_read_fails_the_job(
    cloud: Cloud, model: str, manifest: bytes | None, reason: str
) -> None:
    url = cloud.put("broken.json", manifest) if manifest else f"s3://{BUCKET}/missing.json"
    job = cloud.transform({"S3DataType": "ManifestFile", "S3Uri": url}, model)
    ended = cloud.finished(job)
    assert ended["TransformJobStatus"] == "Failed"
    assert reason in ended["FailureReason"]


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"STAND_IN_EXIT": "3"}, "exited with status 3"),
        ({"STAND_IN_UNREADY": "true"}, "did not pass the ping health check"),
        ({"STAND_IN_DIE_AFTER": "2"}, "the container exited with status 1"),
    ],
)
def test_a_container_in_trouble_fails_the_job_with_the_reason(
    cloud: Cloud, environment: dict[str, str], reason: str
) -> None:
    folder, images = cloud.images(4)
    retries = {"InvocationsMaxRetries": 3}
    job = cloud.transform(
        cloud.manifest(folder, images), cloud.model(**environment), ModelClientConfig=retries
    )
    assert reason in cloud.finished(job)["FailureReason"]


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


def test_the_quota_of_running_jobs_is_kept(cloud: Cloud) -> None:
    folder, images = cloud.images(40)
    model = cloud.model(STAND_IN_DELAY_MS="200")
    source = cloud.manifest(folder, images)
    running = [cloud.transform(source, model) for _ in range(2)]
    with refused("ResourceLimitExceeded", "ml.m5.large for transform job usage' is 2"):
        cloud.transform(source, model)
    for job in running:
        cloud.sagemaker.stop_transform_job(TransformJobName=job)
        cloud.finished(job)
    assert (
        cloud.finished(cloud.transform(source, cloud.model()))["TransformJobStatus"] == "Completed"
    )


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
