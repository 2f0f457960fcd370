"""Tuning jobs: what is tried, in which order, and what is found."""

import json
from typing import Any

from tests.contract.local_sagemaker.support.cloud import Cloud
from tests.contract.local_sagemaker.support.patience import until
from tests.contract.local_sagemaker.support.tuning import (
    LONG,
    LR,
    RATES,
    SIDES,
    SIZES,
    definition,
    described,
    discrete,
    limits,
    ranges,
    started,
    stop,
    trials,
    tried,
    tuned,
    tuning,
    warm,
)
from tests.stand_in.train import BEST


def test_a_search_tries_as_many_values_as_asked_and_names_the_best(cloud: Cloud) -> None:
    job = tuning(cloud)
    ended = tuned(cloud, job)
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["HyperParameterTuningEndTime"] >= ended["CreationTime"]
    counters = ended["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["InProgress"]) == (3, 0)
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    every = trials(cloud, job)
    assert [trial["TrainingJobName"][: len(job) + 4] for trial in every] == [
        f"{job}-00{number}" for number in (1, 2, 3)
    ]
    rates = [float(trial["TunedHyperParameters"]["lr"]) for trial in every]
    assert len(set(rates)) == 3
    assert all(0.001 <= rate <= 0.1 for rate in rates)
    best = ended["BestTrainingJob"]
    nearest = min(rates, key=lambda rate: max(rate / BEST, BEST / rate))
    assert float(best["TunedHyperParameters"]["lr"]) == nearest
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"] == "score"


def test_a_trial_is_an_ordinary_training_job_with_plain_values(cloud: Cloud) -> None:
    asked = definition(cloud, steps="2")
    given = ranges(LR, CategoricalParameterRanges=[SIZES])
    job = tuning(cloud, {**limits(1), **given}, TrainingJobDefinition=asked)
    tuned(cloud, job)
    [summary] = trials(cloud, job)
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


def test_a_grid_tries_each_combination_once(cloud: Cloud) -> None:
    job = tuning(cloud, {"Strategy": "Grid", **limits(None, 2), **discrete(SIDES, RATES)})
    assert tuned(cloud, job)["HyperParameterTuningJobStatus"] == "Completed"
    pairs = [(values["side"], values["lr"]) for values in tried(cloud, job)]
    assert sorted(pairs) == [(side, lr) for side in "ab" for lr in RATES["Values"]]


def test_chance_repeats_nothing_where_there_is_little_to_try(cloud: Cloud) -> None:
    job = tuning(cloud, {**limits(4, 2), **discrete(SIDES, RATES)})
    tuned(cloud, job)
    assert len({json.dumps(values, sort_keys=True) for values in tried(cloud, job)}) == 4


def test_no_more_trials_run_at_once_than_may(cloud: Cloud) -> None:
    job = tuning(cloud, limits(3, 2), TrainingJobDefinition=definition(cloud, **LONG))
    running = started(cloud, job, 2)
    seen = described(cloud, job)
    assert seen["TrainingJobStatusCounters"]["InProgress"] == len(running) == 2
    assert "BestTrainingJob" not in seen
    stop(cloud, job)
    tuned(cloud, job)


def test_a_search_waits_for_room_that_other_jobs_take(own_cloud: Cloud) -> None:
    others = [own_cloud.training(HyperParameters=LONG) for _ in range(2)]
    job = tuning(own_cloud, limits(1))
    until(lambda: trials(own_cloud, job) == [])
    own_cloud.sagemaker.stop_training_job(TrainingJobName=others[0])
    assert tuned(own_cloud, job)["TrainingJobStatusCounters"]["Completed"] == 1
    own_cloud.sagemaker.stop_training_job(TrainingJobName=others[1])
    own_cloud.trained(others[1])


def test_a_hopeless_trial_is_stopped_early_and_the_search_goes_on(cloud: Cloud) -> None:
    """The best value first, then one whose score is below the first's from the first step on."""
    slow = definition(cloud, steps="20", step_ms="50")
    asked = {
        "Strategy": "Grid",
        **limits(None),
        **discrete({"Name": "lr", "Values": ["0.02", "0.000002", "0.03"]}),
        "TrainingJobEarlyStoppingType": "Auto",
    }
    job = tuning(cloud, asked, TrainingJobDefinition=slow)
    ended = tuned(cloud, job)
    good, bad, last = trials(cloud, job)
    assert (good["TrainingJobStatus"], bad["TrainingJobStatus"]) == ("Completed", "Stopped")
    assert last["TrainingJobStatus"] in ("Completed", "Stopped"), "it is a little worse"
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["BestTrainingJob"]["TunedHyperParameters"] == {"lr": "0.02"}
    assert "step=20 " not in cloud.server.log_of(bad["TrainingJobName"])


def test_nothing_is_stopped_early_unless_asked(cloud: Cloud) -> None:
    given = discrete({"Name": "lr", "Values": ["0.02", "0.000002"]})
    job = tuning(cloud, {"Strategy": "Grid", **limits(None), **given})
    assert tuned(cloud, job)["TrainingJobStatusCounters"]["Completed"] == 2


def test_a_search_is_over_when_it_has_found_what_was_wanted(cloud: Cloud) -> None:
    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": -10.0}}
    ended = tuned(cloud, tuning(cloud, {**limits(5), **criteria}))
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["TrainingJobStatusCounters"]["Completed"] == 1


def test_a_warm_start_knows_what_its_parent_found(cloud: Cloud) -> None:
    parent = tuning(cloud, {"Strategy": "Bayesian", "RandomSeed": 3, **limits(8, 2)})
    best = tuned(cloud, parent)["BestTrainingJob"]
    child = tuning(
        cloud,
        {"Strategy": "Bayesian", "RandomSeed": 3, **limits(2)},
        WarmStartConfig=warm(parent, "IdenticalDataAndAlgorithm"),
    )
    ended = tuned(cloud, child)
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


def test_searches_are_listed_with_their_counters(cloud: Cloud) -> None:
    job = tuning(cloud, limits(1))
    tuned(cloud, job)
    found = cloud.sagemaker.list_hyper_parameter_tuning_jobs(
        NameContains=job, StatusEquals="Completed"
    )["HyperParameterTuningJobSummaries"]
    [summary] = [each for each in found if each["HyperParameterTuningJobName"] == job]
    assert summary["Strategy"] == "Random"
    assert summary["TrainingJobStatusCounters"]["Completed"] == 1
    assert summary["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 1


def test_trials_are_listed_by_score_page_by_page(cloud: Cloud) -> None:
    job = tuning(cloud, limits(3))
    tuned(cloud, job)
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
    assert trials(cloud, job, StatusEquals="Failed") == []
