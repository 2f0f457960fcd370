"""Searches as people ask for them, and what is said of what they found."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.stage import Stage
from tests.support.builders.pages import foreign_markup
from training.config import search_space, train_config, trials
from training.config.errors import TrainingFailed
from training.config.hyperparameter import Categorical, Continuous
from training.config.train_config import TrainConfig
from training.config.trials import Trial
from training.launch import job as launch
from training.launch import tune
from training.launch.input_channels import Channels
from training.launch.tune import SearchOptions, TuningRequest, search_stem
from training.reports import trials_page

SPACE: search_space.Space = {
    "lr": Continuous(0.001, 0.1, "Logarithmic"),
    "batch-size": Categorical(("32", "64", "128")),
}


def request(*words: str, **options: Any) -> TuningRequest:
    hyperparameters = dict(word.split("=", 1) for word in words)
    job = launch.job_request(Stage("dev"), "image@sha256:1", "photos", {})
    return tune.tuning_request(job, hyperparameters, SearchOptions(**options))


def test_lr_and_batch_size_are_searched_unless_something_else_is_said() -> None:
    assert request().space == SPACE
    assert request("lr=0.01").space == {"batch-size": SPACE["batch-size"]}
    assert request("lr=0.01").job.config.lr == 0.01


def test_ranges_and_choices_are_said_like_values() -> None:
    wanted = request("lr=0.0001:0.01", "optimizer=adamw,sgd", "epochs=4:8", "name=pets")
    assert wanted.space == {
        "lr": Continuous(0.0001, 0.01, "Logarithmic"),
        "epochs": Continuous(4, 8, "Linear"),
        "batch-size": SPACE["batch-size"],
        "optimizer": Categorical(("adamw", "sgd")),
    }
    assert wanted.job.config.name == "pets"


def test_what_chose_the_values_does_not_judge_them() -> None:
    assert request().job.config.selects_by_validation
    assert request().trial.config.selects_by_validation


def test_watching_is_for_the_final_fit() -> None:
    wanted = request("debug=on")
    assert (wanted.trial.config.debug, wanted.trial.config.profile_steps) == ("off", 0)
    assert wanted.job.config.debug == "on"
    assert wanted.job.config.profile_steps > 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lr=0.1:0.01"], "must be ascending"),
        (["lr=0.01:fast"], "lr must be a number"),
        (["optimizer=adam,sgd"], "optimizer must be one of"),
        (["optimizer=adamw:sgd"], "optimizer is not a number"),
        (["lrr=0.1"], "Is lr meant"),
        (["lr=0.1", "batch-size=8"], "There is nothing to search"),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_starts(
    words: list[str], sentence: str
) -> None:
    with pytest.raises(TrainingFailed, match=sentence):
        request(*words)


def test_a_search_within_one_job_is_of_heads_alone() -> None:
    assert request(in_one_job=True).options.in_one_job
    with pytest.raises(TrainingFailed, match="needs unfreeze=head"):
        request("unfreeze=all", in_one_job=True)
    with pytest.raises(TrainingFailed, match="image-size cannot be searched"):
        request("image-size=128,224", in_one_job=True)


def test_a_space_is_read_as_it_was_written_and_fits_a_hyperparameter() -> None:
    for space in (SPACE, request("epochs=4:8", "optimizer=adamw,sgd").space):
        text = search_space.format_space(space)
        assert search_space.parse_space(text) == space
        assert TrainConfig.from_strings({"search": text}).search == text


def test_places_are_spread_from_end_to_end_and_choices_evenly() -> None:
    places = search_space.spread_points(SPACE, 12, 0)
    rates = [float(place["lr"]) for place in places]
    assert (rates[0], rates[-1]) == (0.001, 0.1)
    assert rates == sorted(rates)
    sizes = [place["batch-size"] for place in places]
    assert {size: sizes.count(size) for size in sizes} == {"32": 4, "64": 4, "128": 4}
    assert search_space.spread_points(SPACE, 12, 0) == places
    assert search_space.spread_points(SPACE, 12, 1) != places
    assert [place["lr"] for place in search_space.spread_points(SPACE, 1, 0)] == ["0.01"]


@pytest.mark.parametrize(
    ("lr", "where", "next_time"),
    [("0.0012", "lower edge", "--lr 0.0001:0.1"), ("0.095", "upper edge", "--lr 0.001:1")],
)
def test_a_best_value_at_its_ranges_edge_is_told_with_where_to_look_next(
    lr: str, where: str, next_time: str
) -> None:
    [sentence] = search_space.edge_warnings(SPACE, {"lr": lr, "batch-size": "128"})
    assert where in sentence
    assert next_time in sentence
    low, _, high = sentence.rpartition(" ")[2].rstrip(".").partition(":")
    assert search_space.parse_range("lr", f"{low}:{high}") is not None


def test_a_best_value_within_its_range_is_left_alone() -> None:
    assert search_space.edge_warnings(SPACE, {"lr": "0.01", "batch-size": "32"}) == []


def test_an_edge_beyond_which_nothing_is_allowed_is_no_warning() -> None:
    space = {"warmup": Continuous(0, 1, "Linear")}
    assert search_space.edge_warnings(space, {"warmup": "0.0"}) == []


def test_tuning_jobs_have_names_that_aws_takes() -> None:
    """And the same values the same ones, so that the same command finds its search."""
    channels = Channels({"data": "s3://bucket/data/1/"})
    words = ("name=abcd-model-with-a-long-name", "lr=0.001:0.1")
    first = request(*words)
    stem = search_stem(first, channels)
    assert search_stem(request(*words, "log-every=1"), channels) == stem
    others = [request(*words, *more) for more in (["lr=0.001:0.2"], ["seed=1"], ["epochs=3"])]
    assert stem not in [search_stem(other, channels) for other in others]
    assert search_stem(request(*words, parallel=1), channels) != stem
    assert search_stem(first, Channels({"data": "s3://bucket/data/2/"})) != stem
    for stage in ("longname", "a"):
        job = replace(first.job, stage=Stage(stage))
        name = f"{search_stem(replace(first, job=job), channels)}-999"
        assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}", name), "SageMaker's pattern"


def trial(name: str, score: float | None, loss: float, **more: Any) -> Trial:
    epoch = {"epoch": 1.0, "validation_accuracy": score or 0.0, "validation_loss": loss}
    values = {"lr": more.pop("lr", "0.01"), "batch-size": "32"}
    state = more.pop("state", "Failed" if score is None else "Completed")
    return Trial(name, values, state, score, (epoch,), more.pop("failure", ""))


def test_of_equal_trials_the_one_with_the_lower_loss_is_best() -> None:
    some = [trial("1", 0.8, 0.5), trial("2", 0.8, 0.4), trial("3", None, 0.1)]
    assert trials.best(some, "validation_accuracy") is some[1]
    assert trials.best([trial("1", 0.3, 0.3), trial("2", 0.2, 0.2)], "validation_loss") is not None
    assert trials.best([trial("1", None, 1)], "validation_accuracy") is None


def test_of_equal_trials_the_loss_counts_of_the_weights_that_are_kept() -> None:
    """With patience an earlier epoch is kept than the last."""
    epochs = [
        {"validation_accuracy": 0.8, "validation_loss": 0.3},
        {"validation_accuracy": 0.7, "validation_loss": 0.9},
    ]
    patient = Trial("1", {}, "Completed", 0.8, tuple(epochs))
    assert trials.best([trial("2", 0.8, 0.5), patient], "validation_accuracy") is patient


def test_a_trial_that_was_stopped_is_best_only_where_none_came_to_its_end() -> None:
    stopped = trial("1", 0.9, 0.1, state="Stopped")
    assert trials.best([stopped, trial("2", 0.8, 0.5)], "validation_accuracy") != stopped
    assert trials.best([stopped], "validation_accuracy") == stopped


def test_trials_are_read_as_they_were_written(tmp_path: Path) -> None:
    some = [trial("1", 0.8, 0.5), trial("2", None, 0.4, failure="It ran away.")]
    trials.write(tmp_path, "validation_accuracy", search_space.format_space(SPACE), some, "Better.")
    assert trials.read(tmp_path / trials.FILE) == some
    assert trials.read_comparison(tmp_path / trials.FILE) == "Better."
    content = json.loads((tmp_path / trials.FILE).read_text())
    assert (content["best"], content["objective"]) == ("1", "validation_accuracy")


def test_the_page_shows_every_trial_and_escapes_what_it_is_told() -> None:
    some = [
        trial("search-001", 0.8, 0.5, lr="0.001"),
        trial("search-002", None, 0.4, failure="<script>alert(1)</script>"),
    ]
    page = trials_page.html("<b>", "validation_accuracy", search_space.format_space(SPACE), some)
    assert "<script>" not in foreign_markup(page)
    assert "&lt;script&gt;" in page
    assert "search-001" in page
    assert "lies at the lower edge" in page
    assert page.count("<circle") == 2, "one trial with a score, in two ranges"
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_what_a_search_varies_is_taken_by_training_itself() -> None:
    for place in search_space.spread_points(train_config.search_space(), 12, 3):
        TrainConfig.from_strings(dict(place))


@pytest.mark.parametrize("in_one_job", [True, False])
def test_what_is_not_known_of_the_default_is_said(in_one_job: bool, tmp_path: Path) -> None:
    asked = request("lr=0.001:0.1", in_one_job=in_one_job)
    kept = tmp_path / trials.FILE
    assert "The default, lr=0.001 batch-size=32, was not tried" in tune._comparison(asked, kept)
    trials.write(tmp_path, asked.objective, search_space.format_space(SPACE), [], "No better.")
    said = tune._comparison(asked, kept)
    assert said == "No better." if in_one_job else "was not tried" in said


@pytest.mark.parametrize(
    ("name", "text"),
    [("trials", "3:5"), ("trials", "3,5"), ("processes", "1,2"), ("objective", "a,b")],
)
def test_what_decides_how_a_search_runs_is_one_value(name: str, text: str) -> None:
    """A trial that has trials of its own would be a search."""
    with pytest.raises(TrainingFailed, match=f"{name} is one value: a search does not vary it"):
        search_space.parse_range(name, text)
    assert search_space.parse_range(name, "3") is None
