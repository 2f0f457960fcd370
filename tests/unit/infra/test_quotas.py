"""What a quota that is too small is told as, in the words of each service."""

import pytest

from infra.quotas import advice, explain_failure


@pytest.mark.parametrize(
    "reasons",
    [
        "  Bucket: You have attempted to create more buckets than allowed (Service: S3, Status "
        "Code: 400)",
        "  OnPageRole: Cannot exceed quota for RolesPerAccount: 1000 (Service: Iam, Status Code: "
        "409, Request ID: x) (HandlerErrorCode: ServiceLimitExceeded)",
    ],
)
def test_a_stack_that_meets_a_quota_says_how_to_ask_for_more(reasons: str) -> None:
    assert "console.aws.amazon.com/servicequotas" in advice(reasons)
    assert "run the command again" in advice(reasons)


def test_a_stack_that_fails_for_another_reason_says_nothing_of_quotas() -> None:
    assert advice("  Inbox: You must wait 60 seconds after deleting a queue") == ""


@pytest.mark.parametrize(
    "reason",
    [
        "AlgorithmError: See /opt/ml/output/failure, exit code: 137",
        "AlgorithmError: ExecuteUserScriptError: ExitCode 137",
        "AlgorithmError: the process exited with 137.",
        "AlgorithmError: exit status -9",
    ],
)
def test_a_job_that_was_killed_says_so_and_what_to_do(reason: str) -> None:
    sentence = explain_failure(reason, "ml.m5.xlarge")
    assert "was killed, mostly because the memory of ml.m5.xlarge was full" in sentence
    assert "--batch-size" in sentence


@pytest.mark.parametrize("reason", ["exit code: 1", "exit code: 1370", "137 images are missing"])
def test_another_failure_is_not_called_killed(reason: str) -> None:
    assert explain_failure(reason, "ml.m5.xlarge") == reason
