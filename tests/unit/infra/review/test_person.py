"""Who corrects, from what STS says."""

import getpass
from typing import Any

import pytest

from infra.review.person import Person


class Sts:
    def __init__(self, arn: str) -> None:
        self.arn = arn

    def get_caller_identity(self) -> dict[str, Any]:
        return {"Arn": self.arn, "Account": "123456789012", "UserId": "x"}


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:user/anna", "anna"),
        ("arn:aws:iam::123456789012:user/division/team/anna", "anna"),
        ("arn:aws:sts::123456789012:assumed-role/Dev/anna@example.org", "Dev/anna@example.org"),
        ("arn:aws-cn:sts::123456789012:federated-user/anna", "anna"),
    ],
)
def test_a_person_is_named_by_the_end_of_the_arn(arn: str, name: str) -> None:
    assert Person(lambda: Sts(arn)).name() == name


@pytest.mark.parametrize("arn", ["arn:aws:iam::000000000000:root", ""])
def test_behind_a_shared_name_the_account_of_the_computer_is_named(arn: str) -> None:
    assert Person(lambda: Sts(arn)).name() == getpass.getuser()
