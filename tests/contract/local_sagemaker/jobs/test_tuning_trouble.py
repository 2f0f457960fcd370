"""Tuning jobs that are stopped, fail, are cut off, or make no sense."""

from typing import Any

import pytest

from infra.local import processes
from tests.contract.local_sagemaker.support.cloud import Cloud, refused
from tests.contract.local_sagemaker.support.patience import until
from tests.contract.local_sagemaker.support.tuning import (
    LONG,
    LR,
    RATES,
    SCORE,
    SIDES,
    definition,
    discrete,
    limits,
    ranges,
    started,
    stop,
    trials,
    tuned,
    tuning,
    warm,
)


def test_a_search_whose_metric_never_comes_has_failed(cloud: Cloud) -> None:
    """The stand-in has no score without an lr."""
    ended = tuned(cloud, tuning(cloud, {**limits(2, 2), **discrete(SIDES)}))
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("All training jobs failed.")
    assert ended["ObjectiveStatusCounters"]["Failed"] == 2


def test_a_stopped_search_stops_its_trials_and_keeps_what_it_found(cloud: Cloud) -> None:
    long = definition(cloud, **LONG)
    job = tuning(cloud, limits(5), TrainingJobDefinition=long)
    [trial] = started(cloud, job)
    until(lambda: "score" in cloud.server.log_of(trial["TrainingJobName"]))
    stop(cloud, job)
    ended = tuned(cloud, job)
    assert ended["HyperParameterTuningJobStatus"] == "Stopped"
    assert ended["TrainingJobStatusCounters"]["Stopped"] == 1
    assert ended["BestTrainingJob"]["TrainingJobName"] == trial["TrainingJobName"]
    assert processes.find_running(trial["TrainingJobName"]) == []
    with refused("ValidationException", "in status Stopped"):
        stop(cloud, job)


def test_a_search_that_only_fails_gives_up_and_says_so(cloud: Cloud) -> None:
    dying = definition(cloud, die_at="1")
    job = tuning(cloud, limits(9, 2), TrainingJobDefinition=dying)
    ended = tuned(cloud, job)
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("No training job succeeded after 5 attempts.")
    assert 5 <= ended["TrainingJobStatusCounters"]["NonRetryableError"] <= 6
    assert ended["ObjectiveStatusCounters"]["Succeeded"] == 0
    assert "BestTrainingJob" not in ended


def test_a_warm_start_wants_a_parent_that_has_ended_and_looked_for_the_same(cloud: Cloud) -> None:
    kind = "IdenticalDataAndAlgorithm"
    long = definition(cloud, **LONG)
    parent = tuning(cloud, TrainingJobDefinition=long)
    with refused("ValidationException", f"{parent} must be in a terminal state"):
        tuning(cloud, WarmStartConfig=warm(parent, kind))
    stop(cloud, parent)
    tuned(cloud, parent)
    other = {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "score"}}
    with refused("ValidationException", "objective metric must be that of the parent"):
        tuning(cloud, other, WarmStartConfig=warm(parent, kind))
    with refused("ResourceNotFound", "name: nobody"):
        tuning(cloud, WarmStartConfig=warm("nobody", kind))


def test_a_search_whose_image_went_away_has_failed_and_says_so(own_cloud: Cloud) -> None:
    slow = definition(own_cloud, steps="5", step_ms="100")
    job = tuning(own_cloud, limits(3), TrainingJobDefinition=slow)
    [first] = started(own_cloud, job)
    until(lambda: processes.find_running(first["TrainingJobName"]))
    own_cloud.server.images.write_text("{}")
    ended = tuned(own_cloud, job)
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert "not found" in ended["FailureReason"]
    assert ended["TrainingJobStatusCounters"]["Completed"] == 1


def test_a_search_goes_on_after_the_server_died(own_cloud: Cloud) -> None:
    slow = definition(own_cloud, steps="10", step_ms="100")
    job = tuning(own_cloud, limits(3), TrainingJobDefinition=slow)
    first, _ = started(own_cloud, job, 2)
    own_cloud.server.kill()
    until(lambda: not processes.find_running(first["TrainingJobName"]))
    own_cloud.server.start()
    ended = tuned(own_cloud, job)
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    counters = ended["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["RetryableError"]) == (2, 1)
    cut = trials(own_cloud, job)[1]
    assert "ended while the job was running" in cut["FailureReason"]


def test_a_name_lives_for_ever_and_one_that_never_was_is_named(cloud: Cloud) -> None:
    job = tuning(cloud, limits(1))
    with refused("ResourceInUse", "name must be unique"):
        tuning(cloud, limits(1), HyperParameterTuningJobName=job)
    tuned(cloud, job)
    with refused("ResourceNotFound", "name: nope"):
        cloud.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="nope")


def numbers(low: str, high: str, scale: str = "Auto") -> dict[str, Any]:
    return {"Name": "lr", "MinValue": low, "MaxValue": high, "ScalingType": scale}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"Strategy": "Guess"}, "enum value set"),
        ({"Strategy": "Hyperband"}, "'Hyperband' is not supported by the local SageMaker"),
        (ranges(numbers("0.1", "0.001")), "0.1 of hyperparameter lr must be less than"),
        (ranges(numbers("0", "0.1", "Logarithmic")), "needs values greater than 0"),
        (ranges(numbers("0", "1", "ReverseLogarithmic")), "0 <= x < 1"),
        (ranges(numbers("low", "0.1")), "'low' is not a number"),
        (ranges(LR, LR), "in more than one range"),
        (ranges(), "at least one hyperparameter range"),
        ({"Strategy": "Grid"}, "categorical hyperparameter ranges only"),
        ({"Strategy": "Grid", **discrete(RATES)}, r"combinations .*, \[2\]"),
        (discrete(RATES), "have enough combinations of hyperparameter ranges"),
        (limits(None), "MaxNumberOfTrainingJobs or MaxRuntimeInSeconds is required"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_before_it_starts(
    cloud: Cloud, config: dict[str, Any], sentence: str
) -> None:
    with refused("ValidationException", sentence):
        tuning(cloud, config)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"MetricDefinitions": []}, "Provide a metric in the metric definitions"),
        ({"MetricDefinitions": [SCORE | {"Regex": "("}]}, "not a valid regex"),
        ({"TrainingImage": "no/such:image"}, "image no/such:image not found"),
    ],
)
def test_trials_that_could_never_run_are_refused_before_any_starts(
    cloud: Cloud, members: dict[str, Any], sentence: str
) -> None:
    asked = definition(cloud)
    asked["AlgorithmSpecification"] |= members
    with refused("ValidationException", sentence):
        tuning(cloud, TrainingJobDefinition=asked)


def test_what_is_searched_cannot_be_told_as_well(cloud: Cloud) -> None:
    with refused("ValidationException", "both static and tunable: lr"):
        tuning(cloud, TrainingJobDefinition=definition(cloud, lr="0.1"))


def test_a_name_leaves_room_for_those_of_the_trials(cloud: Cloud) -> None:
    with refused("ValidationException", "length less than or equal to 32"):
        tuning(cloud, HyperParameterTuningJobName="n" * 33)


def test_more_trials_than_an_account_may_have_are_refused(cloud: Cloud) -> None:
    with refused("ResourceLimitExceeded", "is 750"):
        tuning(cloud, limits(751))
