"""The instances of endpoints and jobs, limited by the account's quotas while they run."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from infra.local.accounts import Account
from infra.local.sagemaker.core.errors import ResourceLimitExceeded

Use = Literal[
    "endpoint usage", "transform job usage", "training job usage", "spot training job usage"
]
"""The suffixes of quota names in Service Quotas: `ml.m5.xlarge for endpoint usage`."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Instances of one type for one use."""

    instance_type: str
    use: Use
    count: int = 1

    @property
    def quota(self) -> str:
        return f"{self.instance_type} for {self.use}"


class Machines:
    """The instances in use, with one quota per instance type and use, as in AWS."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._in_use: Counter[str] = Counter()

    def take(self, fleet: Fleet) -> None:
        """Reserve the instances until `give_back`. Raises ResourceLimitExceeded without reserving
        any.
        """
        used, limit = self._in_use[fleet.quota], self.account.quota(fleet.quota)
        if used + fleet.count > limit:
            raise ResourceLimitExceeded(_sentence(fleet, limit, used))
        self.keep(fleet)

    def keep(self, fleet: Fleet) -> None:
        """Count instances that already run, without a check: a reduced quota does not stop them."""
        self._in_use[fleet.quota] += fleet.count

    def give_back(self, fleet: Fleet) -> None:
        self._in_use[fleet.quota] -= fleet.count

    def refuse_impossible(self, fleet: Fleet) -> None:
        """Raises ResourceLimitExceeded if the instances exceed the quota even in an idle
        account.
        """
        limit = self.account.quota(fleet.quota)
        if fleet.count > limit:
            raise ResourceLimitExceeded(_sentence(fleet, limit, self._in_use[fleet.quota]))


def _sentence(fleet: Fleet, limit: int, used: int) -> str:
    """AWS's message, taken from users' reports; boto3 shows it after the error code."""
    return (
        f"The account-level service limit '{fleet.quota}' is {limit} Instances, with current "
        f"utilization of {used} Instances and a request delta of {fleet.count} Instances. Please "
        "use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas is "
        "not available, contact AWS support to request an increase for this quota."
    )
