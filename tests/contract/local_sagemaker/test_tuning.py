"""Tuning jobs: what is tried, what is found, how a search ends, and what it may begin from."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.local import processes
from tests.contract.local_sagemaker.cloud import (
    LR,
    SCORE,
    Cloud,
    definition,
    refused,
    unique,
)
from tests.contract.local_sagemaker.patience import until
from tests.stand_in.train import BEST

SIZES = {"Name": "size", "Values": ["32", "64", "128"]}
SIDES = {"Name": "side", "Values": ["a", "b"]}
LONG = {"steps": "1000", "step_ms": "20"}


def limits(trials: int | None, parallel: int = 1, **members: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"MaxParallelTrainingJobs": parallel, **members}
    return {"ResourceLimits": asked | ({"MaxNumberOfTrainingJobs": trials} if trials else {})}


def ranges(*continuous: Mapping[str, Any], **kinds: Any) -> dict[str, Any]:
    return {"ParameterRanges": {"ContinuousParameterRanges": list(continuous), **kinds}}


def discrete(*each: Mapping[str, Any]) -> dict[str, Any]:
    return {"ParameterRanges": {"CategoricalParameterRanges": list(each)}}


def started(cloud: Cloud, job: str, count: int = 1) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = until(
        lambda: trials if len(trials := cloud.trials(job)) >= count else None
    )
    return found


def tried(cloud: Cloud, job: str) -> list[Mapping[str, str]]:
    return [trial["TunedHyperParameters"] for trial in cloud.trials(job, MaxResults=100)]


def stop(cloud: Cloud, job: str) -> None:
    cloud.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=job)


def test_a_search_tries_as_many_values_as_asked_and_names_the_best(cloud: Cloud) -> None:
    job = cloud.tuning({})
    ended = cloud.tuned(job)
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["HyperParameterTuningEndTime"] >= ended["CreationTime"]
    counters = ended["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["InProgress"]) == (3, 0)
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    trials = cloud.trials(job)
    assert [trial["TrainingJobName"][: len(job) + 4] for trial in trials] == [
        f"{job}-00{number}" for number in (1, 2, 3)
    ]
    rates = [float(trial["TunedHyperParameters"]["lr"]) for trial in trials]
    assert len(set(rates)) == 3
    assert all(0.001 <= rate <= 0.1 for rate in rates)
    best = ended["BestTrainingJob"]
    nearest = min(rates, key=lambda rate: max(rate / BEST, BEST / rate))
    assert float(best["TunedHyperParameters"]["lr"]) == nearest
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"] == "score"


def test_a_trial_is_an_ordinary_training_job_with_plain_values(cloud: Cloud) -> None:
    asked = definition(unique("static"), steps="2")
    given = ranges(LR, CategoricalParameterRanges=[SIZES])
    job = cloud.tuning({**limits(1), **given}, TrainingJobDefinition=asked | data(cloud))
    cloud.tuned(job)
    [summary] = cloud.trials(job)
    trial = cloud.trained(summary["TrainingJobName"])
    assert trial["TuningJobArn"].endswith(f":hyper-parameter-tuning-job/{job}")
    told = json.loads(cloud.archived(trial["ModelArtifacts"]["S3ModelArtifacts"])["seen.json"])
    hyperparameters = told["config"]["hyperparameters"]
    assert hyperparameters["size"] in SIZES["Values"], "plain: no quotes around it"
    assert hyperparameters["steps"] == "2"
    assert hyperparameters["_tuning_objective_metric"] == "score"
    assert summary["TunedHyperParameters"] == {
        name: hyperparameters[name] for name in ("lr", "size")
    }


def data(cloud: Cloud) -> dict[str, Any]:
    """A channel with something in it."""
    name = unique("data")
    cloud.put(f"data/{name}/a.txt", b"a")
    return {"InputDataConfig": definition(name)["InputDataConfig"]}


def test_a_bayesian_search_comes_nearer_to_the_best_than_its_first_guesses(cloud: Cloud) -> None:
    asked = {"Strategy": "Bayesian", "RandomSeed": 1, **limits(12, 2)}
    job = cloud.tuning(asked, TrainingJobDefinition=definition("none", steps="1") | data(cloud))
    cloud.tuned(job)
    off = [max(float(v["lr"]) / BEST, BEST / float(v["lr"])) for v in tried(cloud, job)]
    assert sum(off[6:]) / 6 < sum(off[:4]) / 4
    assert min(off) < 1.5


def test_a_grid_tries_each_combination_once(cloud: Cloud) -> None:
    job = cloud.tuning({"Strategy": "Grid", **limits(None, 2), **discrete(SIDES, RATES)})
    assert cloud.tuned(job)["HyperParameterTuningJobStatus"] == "Completed"
    pairs = [(values["side"], values["lr"]) for values in tried(cloud, job)]
    assert sorted(pairs) == [(side, lr) for side in "ab" for lr in RATES["Values"]]


def test_a_search_whose_metric_never_comes_has_failed(cloud: Cloud) -> None:
    """The stand-in has no score without an lr."""
    ended = cloud.tuned(cloud.tuning({**limits(2, 2), **discrete(SIDES)}))
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("All training jobs failed.")
    assert ended["ObjectiveStatusCounters"]["Failed"] == 2


RATES: dict[str, Any] = {"Name": "lr", "Values": ["0.01", "0.02"]}


def test_chance_repeats_nothing_where_there_is_little_to_try(cloud: Cloud) -> None:
    job = cloud.tuning({**limits(4, 2), **discrete(SIDES, RATES)})
    cloud.tuned(job)
    assert len({json.dumps(values, sort_keys=True) for values in tried(cloud, job)}) == 4


def test_no_more_trials_run_at_once_than_may(cloud: Cloud) -> None:
    job = cloud.tuning(limits(3, 2), TrainingJobDefinition=definition("none", **LONG) | data(cloud))
    running = started(cloud, job, 2)
    described: Mapping[str, Any] = cloud.sagemaker.describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=job
    )
    assert described["TrainingJobStatusCounters"]["InProgress"] == len(running) == 2
    assert "BestTrainingJob" not in described
    stop(cloud, job)
    cloud.tuned(job)


def test_a_search_waits_for_room_that_other_jobs_take(own_cloud: Cloud) -> None:
    others = [own_cloud.training(HyperParameters=LONG) for _ in range(2)]
    job = own_cloud.tuning(limits(1))
    until(lambda: own_cloud.trials(job) == [])
    own_cloud.sagemaker.stop_training_job(TrainingJobName=others[0])
    assert own_cloud.tuned(job)["TrainingJobStatusCounters"]["Completed"] == 1
    own_cloud.sagemaker.stop_training_job(TrainingJobName=others[1])
    own_cloud.trained(others[1])


def test_a_stopped_search_stops_its_trials_and_keeps_what_it_found(cloud: Cloud) -> None:
    long = definition("none", **LONG) | data(cloud)
    job = cloud.tuning(limits(5), TrainingJobDefinition=long)
    [trial] = started(cloud, job)
    until(lambda: "score" in cloud.server.log_of(trial["TrainingJobName"]))
    stop(cloud, job)
    ended = cloud.tuned(job)
    assert ended["HyperParameterTuningJobStatus"] == "Stopped"
    assert ended["TrainingJobStatusCounters"]["Stopped"] == 1
    assert ended["BestTrainingJob"]["TrainingJobName"] == trial["TrainingJobName"]
    assert processes.running(trial["TrainingJobName"]) == []
    with refused("ValidationException", "in status Stopped"):
        stop(cloud, job)


def test_a_hopeless_trial_is_stopped_early_and_the_search_goes_on(cloud: Cloud) -> None:
    """The best value first, then one whose score is below the first's from the first step on."""
    slow = definition("none", steps="20", step_ms="50") | data(cloud)
    asked = {
        "Strategy": "Grid",
        **limits(None),
        **discrete({"Name": "lr", "Values": ["0.02", "0.000002", "0.03"]}),
        "TrainingJobEarlyStoppingType": "Auto",
    }
    job = cloud.tuning(asked, TrainingJobDefinition=slow)
    ended = cloud.tuned(job)
    good, bad, last = cloud.trials(job)
    assert (good["TrainingJobStatus"], bad["TrainingJobStatus"]) == ("Completed", "Stopped")
    assert last["TrainingJobStatus"] in ("Completed", "Stopped"), "it is a little worse"
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["BestTrainingJob"]["TunedHyperParameters"] == {"lr": "0.02"}
    assert "step=20 " not in cloud.server.log_of(bad["TrainingJobName"])


def test_nothing_is_stopped_early_unless_asked(cloud: Cloud) -> None:
    given = discrete({"Name": "lr", "Values": ["0.02", "0.000002"]})
    job = cloud.tuning({"Strategy": "Grid", **limits(None), **given})
    assert cloud.tuned(job)["TrainingJobStatusCounters"]["Completed"] == 2


def test_a_search_that_only_fails_gives_up_and_says_so(cloud: Cloud) -> None:
    dying = definition("none", die_at="1") | data(cloud)
    job = cloud.tuning(limits(9, 2), TrainingJobDefinition=dying)
    ended = cloud.tuned(job)
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("No training job succeeded after 5 attempts.")
    assert 5 <= ended["TrainingJobStatusCounters"]["NonRetryableError"] <= 6
    assert ended["ObjectiveStatusCounters"]["Succeeded"] == 0
    assert "BestTrainingJob" not in ended


def test_a_search_is_over_when_it_has_found_what_was_wanted(cloud: Cloud) -> None:
    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": -10.0}}
    ended = cloud.tuned(cloud.tuning({**limits(5), **criteria}))
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["TrainingJobStatusCounters"]["Completed"] == 1


def test_a_warm_start_knows_what_its_parent_found(cloud: Cloud) -> None:
    parent = cloud.tuning({"Strategy": "Bayesian", "RandomSeed": 3, **limits(8, 2)})
    best = cloud.tuned(parent)["BestTrainingJob"]
    child = cloud.tuning(
        {"Strategy": "Bayesian", "RandomSeed": 3, **limits(2)},
        WarmStartConfig=warm(parent, "IdenticalDataAndAlgorithm"),
    )
    ended = cloud.tuned(child)
    for values in tried(cloud, child):
        ratio = float(values["lr"]) / float(best["TunedHyperParameters"]["lr"])
        assert 1 / 5 < ratio < 5, "no more guessing over two decades"
    scores = [
        each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for each in (best, ended["BestTrainingJob"])
    ]
    overall = ended["OverallBestTrainingJob"]
    assert overall["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == max(scores)
    assert overall["TuningJobName"] in (parent, child)


def warm(parent: str, kind: str) -> dict[str, Any]:
    names = [{"HyperParameterTuningJobName": parent}]
    return {"ParentHyperParameterTuningJobs": names, "WarmStartType": kind}


def test_a_warm_start_wants_a_parent_that_has_ended_and_looked_for_the_same(cloud: Cloud) -> None:
    kind = "IdenticalDataAndAlgorithm"
    long = definition("none", **LONG) | data(cloud)
    parent = cloud.tuning({}, TrainingJobDefinition=long)
    with refused("ValidationException", f"{parent} must be in a terminal state"):
        cloud.tuning({}, WarmStartConfig=warm(parent, kind))
    stop(cloud, parent)
    cloud.tuned(parent)
    other = {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "score"}}
    with refused("ValidationException", "objective metric must be that of the parent"):
        cloud.tuning(other, WarmStartConfig=warm(parent, kind))
    with refused("ResourceNotFound", "name: nobody"):
        cloud.tuning({}, WarmStartConfig=warm("nobody", kind))


def test_a_search_goes_on_after_the_server_died(own_cloud: Cloud) -> None:
    slow = definition("none", steps="10", step_ms="100") | data(own_cloud)
    job = own_cloud.tuning(limits(3), TrainingJobDefinition=slow)
    first, _ = started(own_cloud, job, 2)
    own_cloud.server.kill()
    until(lambda: not processes.running(first["TrainingJobName"]))
    own_cloud.server.start()
    ended = own_cloud.tuned(job)
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    counters = ended["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["RetryableError"]) == (2, 1)
    cut = own_cloud.trials(job)[1]
    assert "ended while the job was running" in cut["FailureReason"]


def test_searches_are_listed_with_their_counters(cloud: Cloud) -> None:
    job = cloud.tuning(limits(1))
    cloud.tuned(job)
    found = cloud.sagemaker.list_hyper_parameter_tuning_jobs(
        NameContains=job, StatusEquals="Completed"
    )["HyperParameterTuningJobSummaries"]
    [summary] = [each for each in found if each["HyperParameterTuningJobName"] == job]
    assert summary["Strategy"] == "Random"
    assert summary["TrainingJobStatusCounters"]["Completed"] == 1
    assert summary["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 1


def test_trials_are_listed_by_score_page_by_page(cloud: Cloud) -> None:
    job = cloud.tuning(limits(3))
    cloud.tuned(job)
    asked: dict[str, Any] = {
        "HyperParameterTuningJobName": job,
        "SortBy": "FinalObjectiveMetricValue",
        "SortOrder": "Descending",
        "MaxResults": 2,
    }
    first = cloud.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(**asked)
    second = cloud.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        **asked, NextToken=first["NextToken"]
    )
    assert "NextToken" not in second
    every = [*first["TrainingJobSummaries"], *second["TrainingJobSummaries"]]
    scores = [each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for each in every]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert cloud.trials(job, StatusEquals="Failed") == []


def test_a_name_lives_for_ever_and_one_that_never_was_is_named(cloud: Cloud) -> None:
    job = cloud.tuning(limits(1))
    with refused("ResourceInUse", "name must be unique"):
        cloud.tuning(limits(1), HyperParameterTuningJobName=job)
    cloud.tuned(job)
    with refused("ResourceNotFound", "name: nope"):
        cloud.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="nope")


def numbers(low: str, high: str, scale: str = "Auto") -> dict[str, Any]:
    return {"Name": "lr", "MinValue": low, "MaxValue": high, "ScalingType": scale}


def algorithm(**members: Any) -> dict[str, Any]:
    asked = definition("none")
    asked["AlgorithmSpecification"] |= members
    return {"TrainingJobDefinition": asked}


BOTH = {"TrainingJobDefinition": definition("none", lr="0.1")}


@pytest.mark.parametrize(
    ("config", "members", "sentence"),
    [
        ({"Strategy": "Guess"}, {}, "enum value set"),
        ({"Strategy": "Hyperband"}, {}, "'Hyperband' is not supported by the local SageMaker"),
        (ranges(numbers("0.1", "0.001")), {}, "0.1 of hyperparameter lr must be less than"),
        (ranges(numbers("0", "0.1", "Logarithmic")), {}, "needs values greater than 0"),
        (ranges(numbers("0", "1", "ReverseLogarithmic")), {}, "0 <= x < 1"),
        (ranges(numbers("low", "0.1")), {}, "'low' is not a number"),
        (ranges(LR, LR), {}, "in more than one range"),
        (ranges(), {}, "at least one hyperparameter range"),
        ({"Strategy": "Grid"}, {}, "categorical hyperparameter ranges only"),
        ({"Strategy": "Grid", **discrete(RATES)}, {}, r"combinations .*, \[2\]"),
        (discrete(RATES), {}, "have enough combinations of hyperparameter ranges"),
        (limits(None), {}, "MaxNumberOfTrainingJobs or MaxRuntimeInSeconds is required"),
        ({}, BOTH, "both static and tunable: lr"),
        ({}, algorithm(MetricDefinitions=[]), "Provide a metric in the metric definitions"),
        ({}, algorithm(TrainingImage="no/such:image"), "image no/such:image not found"),
        ({}, algorithm(MetricDefinitions=[SCORE | {"Regex": "("}]), "no regular expression"),
        ({}, {"HyperParameterTuningJobName": "n" * 33}, "length less than or equal to 32"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_it_starts(
    cloud: Cloud, config: dict[str, Any], members: dict[str, Any], sentence: str
) -> None:
    with refused("ValidationException", sentence):
        cloud.tuning(config, **members)


def test_more_trials_than_an_account_may_have_are_refused(cloud: Cloud) -> None:
    with refused("ResourceLimitExceeded", "is 750"):
        cloud.tuning(limits(751))
