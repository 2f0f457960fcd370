"""What errors mean, as the services send them and as their references promise them."""

import pytest
from botocore.exceptions import ClientError

from aws import errors


def s3(status: int, code: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutObject",
    )


def refused(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Describe")


def container(status: object, code: str = "ModelError") -> ClientError:
    response = {"Error": {"Code": code}, "OriginalStatusCode": status, "OriginalMessage": "no"}
    return ClientError(response, "InvokeEndpoint")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "code", "is_absent", "is_lost_race"),
    [
        (404, "NoSuchKey", True, True),
        (404, "404", True, True),  # HEAD has no body
        (404, "NoSuchBucket", False, False),
        (409, "ConditionalRequestConflict", False, True),
        (412, "PreconditionFailed", False, True),
        (403, "AccessDenied", False, False),
        (400, "InvalidRequest", False, False),
        (503, "SlowDown", False, False),
    ],
)
def test_absence_and_lost_races_are_told_from_trouble(
    status: int, code: str, is_absent: bool, is_lost_race: bool
) -> None:
    error = s3(status, code)
    assert errors.is_absent(error) is is_absent
    assert errors.is_lost_race(error) is is_lost_race


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ResourceNotFound", "Requested resource not found."),
        ("ResourceNotFoundException", "Function not found: arn:aws:lambda:…"),
        ("ResourceNotFoundException", "The specified log group does not exist."),
        ("ValidationException", 'Could not find endpoint "arn:aws:sagemaker:…".'),
        ("ValidationException", 'Could not find model "arn:aws:sagemaker:…".'),
        ("ValidationError", "Stack with id sortbox-dev does not exist"),
        ("ImageNotFoundException", "The image with imageId {…} does not exist"),
        ("RepositoryNotFoundException", "The repository with name 'sortbox' does not exist"),
    ],
)
def test_a_missing_resource_is_known_by_what_the_services_send(code: str, message: str) -> None:
    assert errors.is_missing(refused(code, message))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationException", "1 validation error detected: Value 'x' failed"),
        ("ValidationError", "Template format error: unresolved resource"),
        ("AccessDeniedException", "User is not authorized: Could not find a policy"),
        ("AccessDenied", "the role does not exist"),
        ("ThrottlingException", "Rate exceeded"),
    ],
)
def test_any_other_refusal_is_no_missing_resource(code: str, message: str) -> None:
    assert not errors.is_missing(refused(code, message))


def test_what_cloudformation_and_sagemaker_say_of_what_is_there() -> None:
    assert errors.is_unchanged(refused("ValidationError", "No updates are to be performed."))
    assert not errors.is_unchanged(refused("ValidationError", "Stack does not exist"))
    message = "Model Package Group already exists: arn:aws:sagemaker:…"
    assert errors.is_there_already(refused("ValidationException", message))
    assert not errors.is_there_already(refused("ValidationException", "Could not find role"))


@pytest.mark.parametrize("status", [400, 404, 413, 415, 422, 499])
def test_a_containers_4xx_is_evidence_about_what_it_was_sent(status: int) -> None:
    assert errors.is_evidence(container(status))
    assert errors.container_status(container(status)) == status
    assert errors.container_message(container(status)) == "no"


@pytest.mark.parametrize(
    "error",
    [
        *(container(status) for status in (0, 200, 408, 429, 500, 503, "415", None)),
        container(415, code="ValidationError"),
        refused("ThrottlingException", "Rate exceeded"),
        refused("ModelNotReadyException"),
        TimeoutError("the endpoint did not answer"),
    ],
    ids=str,
)
def test_nothing_else_is(error: Exception) -> None:
    assert not errors.is_evidence(error)
