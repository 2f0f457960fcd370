"""Transform jobs that cannot be started are refused; those that cannot go on fail and say why."""

from typing import Any

import pytest

from tests.contract.local_sagemaker.support.cloud import BUCKET, Cloud, refused


@pytest.fixture(scope="module")
def model(cloud: Cloud) -> str:
    return cloud.model()


def input_of(source: dict[str, Any], **members: str) -> dict[str, Any]:
    return {"DataSource": {"S3DataSource": source}, **members}


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


MANIFEST = f'[{{"prefix": "s3://{BUCKET}/"'.encode()
"""How a manifest begins; SageMaker lists its prefix before it reads on."""


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (None, "Could not read the manifest"),
        (b"[]", "the first element must be"),
        (f'{{"prefix": "s3://{BUCKET}/"}}'.encode(), "manifest: expected '['"),
        (MANIFEST + b"}, 7]", "7 is not a relative key"),
        (MANIFEST + b'} "a"]', "manifest: expected ','"),
        (MANIFEST + b'}, "a', "manifest: Unterminated string"),
        (MANIFEST + b"}", "manifest: expected ',', found ''"),
    ],
    ids=["absent", "empty", "no list", "a number", "no comma", "cut off in a name", "cut off"],
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


def test_a_model_archive_that_is_missing_fails_the_job(cloud: Cloud) -> None:
    folder, images = cloud.images(1)
    model = cloud.model()
    cloud.s3.delete_object(Bucket=BUCKET, Key=f"models/{model}.tar.gz")
    ended = cloud.finished(cloud.transform(cloud.manifest(folder, images), model))
    assert ended["TransformJobStatus"] == "Failed"
    assert "Could not access model data" in ended["FailureReason"]


def test_a_container_that_asks_for_too_much_at_once_fails_the_job(cloud: Cloud) -> None:
    folder, images = cloud.images(1)
    asks = '{"MaxConcurrentTransforms": 50, "MaxPayloadInMB": 6}'
    model = cloud.model(STAND_IN_PARAMETERS=asks)
    ended = cloud.finished(cloud.transform(cloud.manifest(folder, images), model))
    assert ended["TransformJobStatus"] == "Failed"
    assert "exceeds 100 MB" in ended["FailureReason"]
