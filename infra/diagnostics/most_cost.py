"""What a command that starts machines costs at most, said before it starts.

The amounts are computed from the price table and from the limits that the command sets: hours of a
job, minutes of a build, of an endpoint's update. What AWS bills for requests and storage beside the
machines is not among them.
"""

from dataclasses import dataclass
from typing import Any

from infra.diagnostics.cost import HOURS_PER_MONTH, PriceError, Prices
from infra.endpoint_settings import ON_AN_INSTANCE, EndpointSettings

UPDATE_HOURS = 1
"""The longest update of an endpoint, in which two machines run; AWS rolls a longer one back
(`infra.models.endpoint:TIMEOUT_SECONDS`)."""

BUILD_MINUTES = 60
"""TimeoutInMinutes of the builds in infra/stacks/image.yml."""


@dataclass(frozen=True, slots=True)
class MostCost:
    """In `currency`. `most`: once; None if the table lacks a price. `an_hour`: from then on, until
    the stage is removed.
    """

    sentence: str
    currency: str
    source: str
    most: float | None
    an_hour: float | None = 0.0

    @property
    def document(self) -> dict[str, Any]:
        return {
            "most": None if self.most is None else round(self.most, 4),
            "an_hour": self.an_hour,
            "currency": self.currency,
            "prices": self.source,
            "sentence": self.sentence,
        }


def nothing(prices: Prices) -> MostCost:
    sentence = "Nothing: the local cloud runs on this machine."
    return MostCost(sentence, prices.currency, prices.source, 0.0)


def of_endpoint(
    prices: Prices, instance_type: str, settings: EndpointSettings = ON_AN_INSTANCE
) -> MostCost:
    """Of a promotion or a rollback, which makes the endpoint or updates it."""
    currency, source = prices.currency, prices.source
    is_serverless = settings.endpoint == "serverless"
    warm = settings.serverlessProvisioned
    if is_serverless and warm:
        sentence = (
            f"The stage answers by a serverless endpoint, and keeps {warm} containers warm, "
            f"which is billed by the hour; {source} has no price of it."
        )
        return MostCost(sentence, currency, source, 0.0, None)
    if settings.endpoint != "instance":
        how = "by a serverless endpoint" if is_serverless else "by transform jobs"
        sentence = f"The stage answers {how}: it has no instance that runs all the time."
        return MostCost(sentence, currency, source, 0.0)
    update = f"While models are exchanged, for {UPDATE_HOURS} h at most, two run"
    try:
        hour = prices.hour(instance_type)
    except PriceError as error:
        sentence = f"The endpoint runs on one {instance_type}. {error}. {update}."
        return MostCost(sentence, currency, source, None, None)
    sentence = (
        f"The endpoint runs on one {instance_type}: {currency} {hour:.2f} an hour, "
        f"{hour * HOURS_PER_MONTH:,.0f} a month, until it is removed ({source}). {update}: at most "
        f"{currency} {hour * UPDATE_HOURS:.2f} more."
    )
    return MostCost(sentence, currency, source, hour * UPDATE_HOURS, hour)


def of_builds(prices: Prices, images: int) -> MostCost:
    """Of the container images that CodeBuild builds where they are missing."""
    most = images * BUILD_MINUTES * prices.build_minute
    what = "image" if images == 1 else f"{images} images"
    sentence = (
        f"Building the {what} where missing takes at most {images * BUILD_MINUTES} minutes of "
        f"CodeBuild: {prices.currency} {most:.2f} ({prices.source})."
    )
    return MostCost(sentence, prices.currency, prices.source, most)
