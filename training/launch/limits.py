"""How long a job may run, what that costs at most, and how large its disk is."""

from dataclasses import dataclass, replace
from math import ceil

from infra.diagnostics.cost import PriceError, Prices
from infra.diagnostics.most_cost import MostCost

DEFAULT_HOURS = 24.0

SHORTEST_HOURS, LONGEST_HOURS = 0.1, 28 * 24.0
"""MaxRuntimeInSeconds: "The maximum value is 28 days" (API reference, StoppingCondition). Accounts
have a quota of 5 days until they ask for more."""

DEFAULT_VOLUME_GB, LARGEST_VOLUME_GB = 50, 16_384
"""VolumeSizeInGB. EBS has no larger volume of general purpose."""

SPOT_WAIT_HOURS = 24.0
"""The longest wait for a spot instance, which is not billed."""


def stopping_condition(hours: float, spot: bool) -> dict[str, int]:
    """Named as the SDK names them. MaxWaitTimeInSeconds holds the wait and the run."""
    condition = {"max_runtime_in_seconds": round(hours * 3600)}
    if spot:
        wait = min(hours, SPOT_WAIT_HOURS, LONGEST_HOURS - hours)
        condition["max_wait_time_in_seconds"] = round((hours + wait) * 3600)
    return condition


@dataclass(frozen=True, slots=True)
class Limit:
    """Of jobs that one command starts, each on one instance."""

    hours: float
    instance_type: str
    spot: bool
    jobs: int = 1
    rounds: int = 1
    """One after another; the jobs of a round run at once."""
    name: str = ""
    """What the jobs are, where there are several."""

    def most_cost(self, prices: Prices) -> MostCost:
        """If every job runs to its limit, on demand."""
        sentence, currency, source = self.sentence(prices), prices.currency, prices.source
        try:
            hour = prices.hour(self.instance_type)
        except PriceError:
            return MostCost(sentence, currency, source, None)
        return MostCost(sentence, currency, source, self.jobs * self.hours * hour)

    def sentence(self, prices: Prices) -> str:
        total = self.jobs * self.hours
        what = f"{self.hours:g} h on one {self.instance_type}:"
        if self.name:
            what = (
                f"{self.name}, of {self.hours:g} h each on one {self.instance_type}: {total:g} h,"
            )
        parts = [f"At most {what} {self._cost(total, prices)}; --max-hours changes the limit."]
        if self.rounds > 1:
            parts.append(f"That is {self.rounds * self.hours:g} h from the first to the last.")
        if self.spot:
            parts.append(
                "Spot instances cost less than this on-demand price; waits for them come on top."
            )
        return " ".join(parts)

    def _cost(self, total: float, prices: Prices) -> str:
        try:
            cost = total * prices.hour(self.instance_type)
        except PriceError as error:
            return str(error).partition(":")[0]
        return f"{prices.currency} {cost:,.2f} ({prices.source})"


def of_search(job: Limit, trials: int, parallel: int, in_one_job: bool) -> Limit:
    """Of a search and the final fit, each of whose jobs has the limit `job`."""
    jobs = 1 if in_one_job else trials
    at_once = "" if in_one_job else f", {parallel} at once,"
    what = "one job of all trials" if in_one_job else f"{trials} trials"
    return replace(
        job,
        jobs=jobs + 1,
        rounds=ceil(jobs / parallel) + 1,
        name=f"{what}{at_once} and the final fit",
    )
