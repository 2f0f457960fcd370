"""The kinds of account that a local cloud can be, from accounts.json: what AWS lets each have.

`fresh` is an account of yesterday: no machines of SageMaker, ten functions at once
(docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: "New AWS accounts have reduced
concurrency"; docs.aws.amazon.com/general/latest/gr/sagemaker.html has the quotas of 0).
`established` has asked for its machines.
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
    """How many may run at once; None: as many as the machine's memory holds."""
    quotas: Mapping[str, int]
    """By pattern of the name that Service Quotas shows; the first that matches counts."""
    rates: Mapping[str, float]
    """Requests a second to SageMaker, by pattern of the operation."""

    @classmethod
    def named(cls, name: str, file: Path = FILE) -> "Account":
        """Raises KeyError for a kind that the file does not describe."""
        described = json.loads(file.read_text())[name]
        return cls(name, described["concurrent functions"], described["quotas"], described["rates"])

    def quota(self, name: str) -> int:
        """The value of a quota such as `ml.m5.xlarge for endpoint usage`."""
        values = (value for pattern, value in self.quotas.items() if fnmatchcase(name, pattern))
        return next(values, 0)


def names() -> tuple[str, ...]:
    return tuple(json.loads(FILE.read_text()))
