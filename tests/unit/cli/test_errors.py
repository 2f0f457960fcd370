"""What a person sees of an error, and the exit code."""

import os
from collections.abc import Callable
from pathlib import Path

import boto3
import click
import pytest
from boto3.exceptions import S3UploadFailedError
from botocore import exceptions as aws

from cli import errors
from cli.stages import connect
from domain.errors import SortboxError
from infra.stage import Stage, StageError
from training.launch.promote import PromotionRefused


def client_error(code: str, message: str = "said AWS") -> aws.ClientError:
    return aws.ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


def failed_upload(cause: aws.ClientError) -> S3UploadFailedError:
    """As boto3 raises it: in place of what AWS said, while that is handled."""
    error = S3UploadFailedError("Failed to upload a.jpg to bucket/a.jpg")
    error.__context__ = cause
    return error


def raising(error: BaseException) -> Callable[[], object]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (SortboxError("The sentence."), 1, "The sentence."),
        (StageError("Stage dev is not deployed here."), 1, "Stage dev is not deployed here."),
        (PromotionRefused("It is worse."), 3, "It is worse."),
        (click.UsageError("wrong"), 2, "wrong"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (aws.NoRegionError(), 1, "Which region? Set AWS_REGION"),
        (aws.NoCredentialsError(), 1, "No AWS credentials."),
        (aws.PartialCredentialsError(provider="env", cred_var="x"), 1, "No AWS credentials."),
        (aws.ProfileNotFound(profile="work"), 1, "could not be found"),
        (aws.EndpointConnectionError(endpoint_url="https://x"), 1, "AWS does not answer"),
        (aws.EndpointConnectionError(endpoint_url="http://127.0.0.1:1/b"), 1, "`./sortbox up`"),
        (aws.ReadTimeoutError(endpoint_url="https://x"), 1, "AWS does not answer"),
        (aws.SSLError(endpoint_url="https://x", error=OSError("bad")), 1, "AWS does not answer"),
        (aws.UnauthorizedSSOTokenError(), 1, "aws sso login"),
        (aws.ParamValidationError(report="x is wrong"), 1, "x is wrong"),
        (client_error("ThrottlingException"), 1, "throttling"),
        (client_error("AccessDenied"), 1, "may not do that"),
        (client_error("ExpiredToken"), 1, "has expired"),
        (client_error("InvalidClientTokenId"), 1, "does not accept these credentials"),
        (client_error("ValidationException"), 1, "AWS refused"),
        (client_error("InsufficientStorage", "The disk is full."), 1, "The disk is full."),
        (failed_upload(client_error("InsufficientStorage", "It is full.")), 1, "It is full."),
        (failed_upload(client_error("AccessDenied")), 1, "may not do that"),
        (
            client_error(
                "ResourceLimitExceeded",
                "The account-level service limit 'ml.m5.xlarge for training job usage' is 0 "
                "Instances, with current utilization of 0 Instances and a request delta of 1.",
            ),
            1,
            "The quota 'ml.m5.xlarge for training job usage' does not allow that",
        ),
        (client_error("LimitExceededException"), 1, "console.aws.amazon.com/servicequotas"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), 1, "x.csv: No such file"),
        (OSError(28, "No space left on device"), 1, "No space left on device."),
    ],
)
def test_no_traceback_for_what_a_person_or_aws_causes(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        errors.run(raising(error))
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        errors.run(raising(ZeroDivisionError()))


@pytest.mark.parametrize(
    ("region", "default", "expected"),
    [
        ("eu-west-1", None, "eu-west-1"),
        (None, "us-west-2", "us-west-2"),
        ("eu-west-1", "us-west-2", "eu-west-1"),
    ],
)
def test_aws_region_is_read(
    monkeypatch: pytest.MonkeyPatch, region: str | None, default: str | None, expected: str
) -> None:
    """boto3 reads AWS_DEFAULT_REGION and profiles only; people and the AWS CLI set AWS_REGION."""
    for name, value in {"AWS_REGION": region, "AWS_DEFAULT_REGION": default}.items():
        monkeypatch.delenv(name, raising=False)
        if value:
            monkeypatch.setenv(name, value)
    connect(Stage("dev"))
    assert os.environ["AWS_DEFAULT_REGION"] == expected
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)


NO_PROFILE = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


def test_a_stage_without_a_region_is_refused_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`doctor` said that nothing was missing: each of its checks had failed alike."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in NO_PROFILE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(aws.NoRegionError):
        connect(Stage("dev"))


def test_the_environments_region_wins_over_a_profiles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-central-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    connect(Stage("dev"))
    assert boto3.Session().region_name == "eu-west-1"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION")
    connect(Stage("dev"))
    assert boto3.Session().region_name == "eu-central-1"
