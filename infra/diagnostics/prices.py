"""AWS's prices of what Sortbox uses: `prices.json` beside this file, a dated table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from domain.errors import SortboxError

TABLE = Path(__file__).with_name("prices.json")


class PriceError(SortboxError, ValueError):
    """A sentence for the person who edits the table, or asks for what it does not hold."""


@dataclass(frozen=True, slots=True)
class Prices:
    """In `currency`, for `region`, as of a day; the units are in the fields' names."""

    region: str
    currency: str
    as_of: str
    note: str
    instance_hour: Mapping[str, float]
    serverless_gb_second: float
    hosting_gb: float
    s3_put_or_list_per_1000: float
    s3_get_or_head_per_1000: float
    lambda_gb_second: float
    lambda_request_per_million: float
    sqs_request_per_million: float

    def hour(self, instance_type: str) -> float:
        """Hosting, Batch Transform and training cost the same for the types that are listed."""
        try:
            return self.instance_hour[instance_type]
        except KeyError:
            known = ", ".join(sorted(self.instance_hour))
            raise PriceError(
                f"{TABLE.name} has no price for {instance_type}: add one (it has {known})"
            ) from None

    @property
    def source(self) -> str:
        return f"{self.region}, {self.as_of}, {TABLE.name}"


def load(table: Path = TABLE) -> Prices:
    try:
        told = json.loads(table.read_text())
    except ValueError as error:
        raise PriceError(f"{table} is not JSON: {error}") from error
    names = {field.name for field in fields(Prices)}
    if not isinstance(told, dict) or told.keys() != names:
        raise PriceError(f"{table} must hold exactly: {', '.join(sorted(names))}")
    return Prices(**told)
