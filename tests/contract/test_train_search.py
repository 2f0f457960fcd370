"""A whole search within one training job: heads side by side, on features computed once; and
`arch=auto`, which does so for each of the bundled networks.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.worlds.jobs import Job, data_set, lines
from training.model import bundled

pytestmark = pytest.mark.usefixtures("one_thread")

UNWATCHED = {"debug": "off", "profile_steps": "0"}
"""As tuners tell their trials."""

SEARCH = "lr=0.00001:0.1 batch-size=8,16"


def trials(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((job.reports / "trials.json").read_text())
    return found


def test_a_search_leaves_every_trial_and_the_best_ones_model(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.run(search=SEARCH, trials="5", **UNWATCHED) == 0, job.failure
    found = trials(job)
    assert [trial["name"] for trial in found["trials"]] == ["1", "2", "3", "4", "5"]
    rates = [float(trial["values"]["lr"]) for trial in found["trials"]]
    assert rates == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert all(len(trial["curves"]) == 3 for trial in found["trials"])
    [best] = [trial for trial in found["trials"] if trial["name"] == found["best"]]
    assert best["score"] == max(trial["score"] for trial in found["trials"])
    told = json.loads(job.card.provenance["hyperparameters"])
    assert {name: told[name] for name in best["values"]} == best["values"]
    assert (told["search"], told["tuned"]) == ("none", "yes")
    assert job.card.provenance["judged_on"] == "test"
    log = capsys.readouterr().out
    assert "the default, lr=0.003 batch-size=8" in found["comparison"]
    assert "Of 12 validation images" in found["comparison"]
    assert found["comparison"] in log
    assert lines(log, "validation_loss") == [pytest.approx(each) for each in best["curves"]]
    images = 3 * (16 + 4 + 4)
    assert log.count("features of ") == 1, "computed once for all trials"
    assert f"features of {images} of {images} images" in log


@pytest.mark.parametrize(
    "common",
    [
        UNWATCHED,
        UNWATCHED
        | {
            "optimizer": "sgd",
            "ema": "0.9",
            "label_smoothing": "0.1",
            "mixup": "0.3",
            "patience": "1",
            "epochs": "5",
            "class_weights": "balanced",
            "clip": "0",
        },
    ],
    ids=["defaults", "every knob"],
)
def test_heads_side_by_side_learn_as_each_would_alone(
    job: Job, tmp_path: Path, common: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.run(search="lr=0.001:0.01 batch-size=16,8", trials="3", **common) == 0, job.failure
    capsys.readouterr()
    *_, trial = trials(job)["trials"]
    alone = Job(tmp_path / "alone")
    data_set(alone.channel)
    assert alone.run(**common, **_said(trial["values"]), tuned="yes") == 0, alone.failure
    curves = lines(capsys.readouterr().out, "validation_loss")
    for one, other in zip(curves, trial["curves"], strict=True):
        assert {name: one[name] for name in other} == pytest.approx(other, rel=1e-4)


def _said(values: dict[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): text for name, text in values.items()}


def test_a_trial_that_runs_away_is_told_and_the_others_go_on(job: Job) -> None:
    wild = "lr=0.001:1000000"
    assert job.run(search=wild, trials="3", optimizer="sgd", clip="0", **UNWATCHED) == 0, (
        job.failure
    )
    first, _, last = trials(job)["trials"]
    assert first["state"] == "Completed"
    assert (last["state"], last["score"]) == ("Failed", None)
    assert "Lower --lr (it is 1e+06)" in last["failure"]
    assert trials(job)["best"] != last["name"]


def test_a_search_that_finds_nothing_says_why(job: Job) -> None:
    wild = "lr=100000:1000000"
    assert job.run(search=wild, trials="2", optimizer="sgd", clip="0", **UNWATCHED) == 1
    assert "All 2 trials failed. The first: " in job.failure
    assert "Lower --lr" in job.failure


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"search": SEARCH, "unfreeze": "all"}, "needs unfreeze=head, not all"),
        ({"search": "image-size=32,64"}, "image-size cannot be searched within one job"),
        ({"search": "lr=0.1"}, "lr is neither"),
        ({"search": "lr=0.1:0.001"}, "must be ascending"),
        ({"search": "lr=0.1:fast"}, "must be a number"),
        ({"search": "anything"}, "Hyperparameter search must be"),
        ({"search": "lrr=0.1:0.2"}, "Is lr meant"),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_is_computed(
    job: Job, told: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.run(**told) == 1
    assert words in job.failure
    assert "features" not in capsys.readouterr().out


def test_a_job_tries_each_network_and_keeps_the_best(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        job.run(arch="auto", minutes="600", search="lr=0.001:0.01", trials="2", **UNWATCHED) == 0
    ), job.failure
    report = json.loads((job.reports / "report.json").read_text())
    tried = report["networks"]
    assert [network["arch"] for network in tried] == list(bundled.NETWORKS)
    assert all(network["values"] and not network["reason"] for network in tried)
    scores = [network["score"] for network in tried]
    chosen = tried[scores.index(max(scores))]["arch"]
    assert job.card.architecture == chosen, "of equally good networks the fastest"
    assert job.card.preprocessing.crop == 64
    assert job.card.provenance["judged_on"] == "test", "validation has chosen the network"
    hyperparameters = json.loads(job.card.provenance["hyperparameters"])
    assert hyperparameters["arch"] == chosen, "the card names the network that was trained"
    page = (job.reports / "report.html").read_text()
    assert f"{chosen} ★" in page
    log = capsys.readouterr().out
    assert all(f"{arch}: validation_accuracy" in log for arch in bundled.NETWORKS)


@pytest.mark.parametrize("wrong", [{"unfreeze": "all"}, {"weights": "none"}])
def test_what_cannot_be_compared_is_refused(job: Job, wrong: dict[str, str]) -> None:
    assert job.run(arch="auto", **wrong) == 1
    assert "needs unfreeze=head and weights=pretrained" in job.failure


def test_weights_of_one_network_are_refused(job: Job) -> None:
    (job.channel.parent / "weights").mkdir()
    assert job.run(arch="auto") == 1
    assert "auto compares the bundled networks, and --weights belongs to one" in job.failure
