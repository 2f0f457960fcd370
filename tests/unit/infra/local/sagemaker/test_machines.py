"""What an account has of machines, and what it is refused."""

import pytest

from infra.local import accounts
from infra.local.accounts import Account
from infra.local.sagemaker.core.errors import ResourceLimitExceeded
from infra.local.sagemaker.core.machines import Fleet, Machines

TWO = Account("two", None, {"ml.m5.large for endpoint usage": 2}, {})
ONE_MACHINE = Fleet("ml.m5.large", "endpoint usage")


def test_machines_count_from_taking_to_giving_back() -> None:
    machines = Machines(TWO)
    machines.take(ONE_MACHINE)
    machines.take(ONE_MACHINE)
    with pytest.raises(ResourceLimitExceeded, match=r"is 2 Instances.*utilization of 2"):
        machines.take(ONE_MACHINE)
    machines.give_back(ONE_MACHINE)
    machines.take(ONE_MACHINE)


def test_a_fleet_counts_all_its_machines() -> None:
    machines = Machines(TWO)
    with pytest.raises(ResourceLimitExceeded, match="a request delta of 3 Instances"):
        machines.take(Fleet("ml.m5.large", "endpoint usage", 3))
    machines.take(Fleet("ml.m5.large", "endpoint usage", 2))


@pytest.mark.parametrize(
    "other", [Fleet("ml.m5.xlarge", "endpoint usage"), Fleet("ml.m5.large", "training job usage")]
)
def test_each_type_and_each_use_has_a_quota_of_its_own(other: Fleet) -> None:
    with pytest.raises(ResourceLimitExceeded, match=f"'{other.quota}' is 0 Instances"):
        Machines(TWO).take(other)


def test_what_runs_already_counts_whatever_the_quota() -> None:
    machines = Machines(Account("none", None, {"*": 0}, {}))
    machines.keep(ONE_MACHINE)
    with pytest.raises(ResourceLimitExceeded, match="current utilization of 1 Instances"):
        machines.take(ONE_MACHINE)


def test_each_kind_of_account_has_what_is_said_of_it() -> None:
    assert accounts.names() == ("fresh", "established")
    fresh, established = Account.named("fresh"), Account.named("established")
    assert (fresh.functions, established.functions) == (10, None)
    assert fresh.quota("ml.m5.xlarge for endpoint usage") == 0
    assert established.quota("ml.m5.xlarge for endpoint usage") == 4
    assert established.quota("ml.m5.xlarge for spot training job usage") == 2
    assert established.quota("ml.m5.xlarge for cluster usage") == 0
