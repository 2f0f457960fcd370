"""The kinds of account that a local cloud can simulate, from accounts.json: their quotas and rates.

`fresh` is a new account: no SageMaker instances, ten concurrent functions
(docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: "New AWS accounts have reduced
concurrency"; docs.aws.amazon.com/general/latest/gr/sagemaker.html has the quotas of 0).
`established` has had its quotas raised.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")
ESTABLISHED = "established"


@dataclass(frozen=True, slots=True)
class Account:
    kind: str
    functions: int | None
    """The concurrency limit of functions; None: only this machine's memory limits it."""
    quotas: Mapping[str, int]
    """Values by pattern of the quota's name in Service Quotas; the first match applies."""
    rates: Mapping[str, float]
    """Requests a second to SageMaker, by pattern of the operation."""

    @classmethod
    def named(cls, name: str, file: Path = FILE) -> "Account":
        """The kind of account with this name. Raises KeyError if the file does not define it."""
        described = json.loads(file.read_text())[name]
        return cls(name, described["concurrent functions"], described["quotas"], described["rates"])

    def quota(self, name: str) -> int:
        """The value of a quota such as `ml.m5.xlarge for endpoint usage`."""
        values = (value for pattern, value in self.quotas.items() if fnmatchcase(name, pattern))
        return next(values, 0)


def names() -> tuple[str, ...]:
    return tuple(json.loads(FILE.read_text()))
