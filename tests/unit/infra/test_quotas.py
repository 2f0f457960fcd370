"""What a quota that is too small is told as, in the words of each service."""

import pytest

from infra.quotas import advice


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
