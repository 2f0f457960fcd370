"""How long a job may run, and what it costs at most: said before it starts."""

import dataclasses
from typing import Any

import click
import pytest

from cli.commands.training import train, tune
from infra.diagnostics.cost import PriceError, load_prices
from infra.stage import Stage
from training.config.hyperparameter import Categorical, Continuous
from training.launch import job, limits
from training.launch import tune as search
from training.launch.job import JobRequest, job_request
from training.launch.tune import SearchOptions, TuningRequest, tuning_request

HOUR = 3600
PRICES = dataclasses.replace(
    load_prices(), instance_hour={"ml.m5.xlarge": 0.25}, currency="USD", as_of="2026-01-01"
)


def request(**changes: Any) -> JobRequest:
    named = job_request(Stage("dev"), "image@sha256:1", "photos", {"trials": "12"})
    return dataclasses.replace(named, **changes)


def searching(options: SearchOptions, **changes: Any) -> TuningRequest:
    return tuning_request(request(**changes), {"lr": "0.001:0.1", "trials": "12"}, options)


def test_a_job_is_stopped_at_its_limit() -> None:
    """MaxRuntimeInSeconds: "The default value is 1 day. The maximum value is 28 days"."""
    assert limits.stopping_condition(24, spot=False) == {"max_runtime_in_seconds": 24 * HOUR}
    assert limits.stopping_condition(0.5, spot=False) == {"max_runtime_in_seconds": 1800}


@pytest.mark.parametrize(("hours", "most"), [(0.5, 1), (24, 48), (100, 124), (28 * 24, 28 * 24)])
def test_the_wait_for_a_spot_instance_is_bounded(hours: float, most: float) -> None:
    """MaxWaitTimeInSeconds holds the wait and the run, and is never below MaxRuntimeInSeconds."""
    condition = limits.stopping_condition(hours, spot=True)
    assert condition["max_wait_time_in_seconds"] == most * HOUR
    assert condition["max_wait_time_in_seconds"] >= condition["max_runtime_in_seconds"]


def test_the_most_that_a_job_costs_is_machines_by_hours_by_price() -> None:
    cost = job.limit(request(max_hours=2), PRICES)
    assert (cost.most, cost.an_hour) == (0.5, 0.0)
    said = cost.sentence
    assert "At most 2 h on one ml.m5.xlarge: USD 0.50" in said
    assert "--max-hours" in said
    assert PRICES.as_of in said
    assert "spot" not in said
    assert "on-demand price" in job.limit(request(spot=True), PRICES).sentence


def test_the_most_that_a_search_costs_has_every_trial_and_the_final_fit() -> None:
    cost = search.limit(searching(SearchOptions(parallel=5), max_hours=2), PRICES)
    assert cost.most == 13 * 2 * 0.25
    said = cost.sentence
    assert "At most 12 trials, 5 at once, and the final fit" in said
    assert "of 2 h each on one ml.m5.xlarge: 26 h, USD 6.50" in said
    assert "8 h from the first to the last" in said, "three rounds of five, then the fit"


def test_all_trials_in_one_job_are_two_jobs_with_the_final_fit() -> None:
    said = search.limit(searching(SearchOptions(in_one_job=True), max_hours=2), PRICES).sentence
    assert "4 h, USD 1.00" in said


def test_a_grid_has_as_many_trials_as_combinations() -> None:
    grid: dict[str, Categorical | Continuous] = {
        "lr": Categorical(("0.1", "0.01", "0.001")),
        "batch-size": Categorical(("32", "64")),
    }
    options = SearchOptions(strategy="Grid")
    request = dataclasses.replace(searching(SearchOptions()), options=options, space=grid)
    assert "At most 6 trials" in search.limit(request, PRICES).sentence


def test_an_instance_type_without_a_price_is_said_so() -> None:
    with pytest.raises(PriceError):
        PRICES.hour("ml.p5.48xlarge")
    cost = job.limit(request(instance_type="ml.p5.48xlarge"), PRICES)
    assert cost.most is None, "an unknown price is no zero"
    said = cost.sentence
    assert "At most 24 h on one ml.p5.48xlarge" in said
    assert "prices.json has no price for ml.p5.48xlarge" in said


def test_a_trial_of_spot_instances_that_is_interrupted_starts_again() -> None:
    """A search's jobs would share one checkpoint prefix, so they have none."""
    said = search.limit(searching(SearchOptions(), spot=True), PRICES).sentence
    assert "A trial that is interrupted starts again" in said


def test_the_limit_and_the_rest_of_the_job_hold_for_trials_and_final_fit() -> None:
    request = searching(SearchOptions(), max_hours=3.0, spot=True, managed_debugger=True)
    assert (request.job.max_hours, request.trial.max_hours) == (3.0, 3.0)
    assert request.job.managed_debugger
    assert not request.trial.managed_debugger


@pytest.mark.parametrize("command", [train, tune])
def test_the_option_has_the_launchers_default_and_sagemakers_bounds(command: click.Command) -> None:
    [option] = [p for p in command.params if p.name == "max_hours"]
    assert option.default == limits.DEFAULT_HOURS == request().max_hours
    kind: Any = option.type
    assert (kind.min, kind.max) == (limits.SHORTEST_HOURS, limits.LONGEST_HOURS)
    [disk] = [p for p in command.params if p.name == "volume_gb"]
    assert disk.default == limits.DEFAULT_VOLUME_GB == request().volume_gb
    size: Any = disk.type
    assert size.max == limits.LARGEST_VOLUME_GB
