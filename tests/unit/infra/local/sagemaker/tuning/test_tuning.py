"""The local SageMaker's choices: what to try next, when to stop a trial, when a search is over."""

import math
from statistics import fmean
from typing import Any

import pytest

from infra.local.sagemaker.tuning import ranges as tuning_ranges
from infra.local.sagemaker.tuning import search
from infra.local.sagemaker.tuning.decision import EndTuning, StartTrials, decide, is_hopeless
from infra.local.sagemaker.tuning.request import TuningJobRequest
from infra.local.sagemaker.tuning.search import ScoredValues
from infra.local.sagemaker.tuning.trials import TuningTrial


def numeric(low: str, high: str, scale: str = "Auto", name: str = "lr") -> dict[str, str]:
    return {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scale}


LR = {"ContinuousParameterRanges": [numeric("0.001", "0.1", "Logarithmic")]}


def plan(
    strategy: str = "Bayesian", ranges: Any = LR, kind: str = "Maximize", **limits: Any
) -> TuningJobRequest:
    criteria = limits.pop("criteria", {})
    return TuningJobRequest.of(
        {
            "HyperParameterTuningJobName": "search",
            "HyperParameterTuningJobConfig": {
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": {"Type": kind, "MetricName": "score"},
                "ResourceLimits": {
                    "MaxNumberOfTrainingJobs": 6,
                    "MaxParallelTrainingJobs": 2,
                    **limits,
                },
                "ParameterRanges": ranges,
                "TuningJobCompletionCriteria": criteria,
            },
            "TrainingJobDefinition": {
                "AlgorithmSpecification": {
                    "MetricDefinitions": [{"Name": "score", "Regex": "score=(.*)"}]
                }
            },
        }
    )


def searched(
    plan: TuningJobRequest, count: int, seed: int, before: list[ScoredValues] | None = None
) -> list[ScoredValues]:
    """Trials one after another, each scored by how near its lr is to 0.005."""
    tried: list[ScoredValues] = []
    for _ in range(count):
        values = search.next_values(plan, tried, seed, before or [])
        tried.append(ScoredValues(values, -off(values["lr"])))
    return tried


def off(lr: str) -> float:
    return abs(math.log10(float(lr) / 0.005))


def test_a_bayesian_search_comes_nearer_to_the_best_than_chance_does() -> None:
    """Decades off, on average over four searches, once some trials are known."""

    def away(strategy: str) -> float:
        later = [searched(plan(strategy), 15, seed)[6:] for seed in range(4)]
        return fmean(off(each.values["lr"]) for tried in later for each in tried)

    assert away("Bayesian") < 0.75 * away("Random")


def test_a_search_of_the_same_seed_tries_the_same() -> None:
    assert searched(plan(), 6, 1) == searched(plan(), 6, 1)
    assert searched(plan(), 6, 1) != searched(plan(), 6, 2)


def test_a_warm_start_begins_where_its_parents_ended() -> None:
    before = searched(plan(), 12, 5)
    first = searched(plan(), 3, 6, before)
    assert max(off(each.values["lr"]) for each in first) < 0.5


def test_what_parents_tried_outside_the_ranges_is_left_out() -> None:
    before = [ScoredValues({"lr": "7"}, 1.0), ScoredValues({"other": "1"}, 1.0)]
    for each in searched(plan(), 4, 0, before):
        assert 0.001 <= float(each.values["lr"]) <= 0.1


@pytest.mark.parametrize("scale", ["Linear", "Logarithmic", "ReverseLogarithmic", "Auto"])
def test_values_lie_within_their_range_in_any_scale(scale: str) -> None:
    ranges = {"ContinuousParameterRanges": [numeric("0.5", "0.999", scale)]}
    values = [float(each.values["lr"]) for each in searched(plan(ranges=ranges), 12, 0)]
    assert all(0.5 <= value <= 0.999 for value in values)
    assert len(set(values)) == 12


def test_whole_numbers_are_told_as_such() -> None:
    ranges = {"IntegerParameterRanges": [numeric("1", "9", name="lr")]}
    for each in searched(plan("Random", ranges), 6, 0):
        assert each.values["lr"] in "123456789"


def test_a_wide_range_without_a_scale_is_searched_by_logarithm() -> None:
    ranges = {"ContinuousParameterRanges": [numeric("0.0001", "1")]}
    values = [float(each.values["lr"]) for each in searched(plan("Random", ranges), 6, 0)]
    assert sum(value < 0.1 for value in values) >= 3
    assert tuning_ranges.parse(ranges)["lr"] == tuning_ranges.NumericRange(
        0.0001, 1, "Logarithmic", whole=False
    )


def trial(status: str, score: float | None = None) -> TuningTrial:
    return TuningTrial({"TrainingJobName": "t", "TrainingJobStatus": status}, score)


RUNNING, FAILED = trial("InProgress"), trial("Failed")


def decided(
    *trials: TuningTrial, plan: TuningJobRequest | None = None, **how: bool
) -> StartTrials | EndTuning:
    known = {"stopping": False, "in_time": True} | how
    return decide(plan or PLAN, trials, **known)


PLAN = plan()


def done(*scores: float) -> list[TuningTrial]:
    return [trial("Completed", score) for score in scores]


def test_as_many_are_started_as_may_run_and_are_left() -> None:
    assert decided() == StartTrials(2)
    assert decided(RUNNING) == StartTrials(1)
    assert decided(RUNNING, RUNNING) == StartTrials(0)
    assert decided(*done(1, 2, 3, 4, 5)) == StartTrials(1)
    assert decided(*done(1, 2, 3, 4), RUNNING, RUNNING) == StartTrials(0)
    assert decided(*done(1, 2, 3, 4, 5, 6)) == EndTuning("Completed")


def test_a_search_is_stopped_by_a_person_or_the_clock() -> None:
    assert decided(RUNNING, stopping=True) == EndTuning("Stopped")
    assert decided(*done(1), in_time=False) == EndTuning("Stopped")


def test_five_failures_are_enough_where_nothing_has_succeeded() -> None:
    assert decided(*[FAILED] * 4) == StartTrials(2)
    end = decided(*[FAILED] * 5)
    assert isinstance(end, EndTuning)
    assert end.status == "Failed"
    assert decided(*[FAILED] * 5, *done(1)) == EndTuning("Completed")
    assert decided(*done(1), *[FAILED] * 4) == StartTrials(1)


def test_a_target_that_is_reached_ends_the_search() -> None:
    wanted = {"TargetObjectiveMetricValue": 0.9}
    maximizing = plan(criteria=wanted)
    assert decided(*done(0.8), plan=maximizing) == StartTrials(2)
    assert decided(*done(0.8, 0.9), plan=maximizing) == EndTuning("Completed")
    minimizing = plan(kind="Minimize", criteria=wanted)
    assert decided(*done(0.95), plan=minimizing) == StartTrials(2)
    assert decided(*done(0.8), plan=minimizing) == EndTuning("Completed")


def test_a_search_that_finds_nothing_better_any_more_ends() -> None:
    patient = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    short = plan(criteria=patient)
    assert decided(*done(1, 5, 2, 2), plan=short) == StartTrials(2)
    assert decided(*done(1, 5, 2, 2, 2), plan=short) == EndTuning("Completed")


def test_a_trial_is_hopeless_below_the_median_of_the_running_averages() -> None:
    before = [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [5.0, 6.0, 7.0]]
    assert not is_hopeless(PLAN, [3.1], before)
    assert is_hopeless(PLAN, [2.9], before)
    assert is_hopeless(PLAN, [9.0, 3.4], before), "3.5 is the median average of two epochs"
    assert not is_hopeless(PLAN, [0.0, 3.6], before)
    assert not is_hopeless(plan(kind="Minimize"), [2.9], before)


def test_nothing_is_hopeless_before_there_is_something_to_compare() -> None:
    assert not is_hopeless(PLAN, [], [[1.0]])
    assert not is_hopeless(PLAN, [1.0], [])
    assert not is_hopeless(PLAN, [1.0, 0.0], [[5.0]]), "nobody was watched that long"
