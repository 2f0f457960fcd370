"""`./sortbox tune` as a person has it: the SDK's tuner, a stand-in, and the final fit."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.local import cloud as local
from tests.flow.conftest import STAND_IN
from tests.flow.support.person import Person
from tests.stand_in.train import BEST
from tests.support.builders import learnable

pytestmark = [pytest.mark.flow, pytest.mark.slow]


@pytest.fixture(scope="module")
def person(running: local.LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(running, tmp_path_factory.mktemp("tuner"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a test split."""
    root = tmp_path_factory.mktemp("photos")
    for split, each in {"train": 10, "validation": 3}.items():
        learnable.folder(root / split, {"cat": "cat", "cup": "coffee"}, each, split)
    return root


@pytest.fixture(scope="module")
def said(person: Person, photos: Path) -> str:
    """What is said of a search of three trials."""
    options = ["--image", STAND_IN, "--no-early-stopping", "--trials=3", "--epochs=3"]
    done = person.types("tune", str(photos), *options, "--name=search")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def found(said: str, what: str) -> str:
    match = re.search(rf"^{what}: (\S+)", said, re.MULTILINE)
    assert match is not None, said
    return match[1]


@pytest.fixture(scope="module")
def trials(running: local.LocalCloud, said: str) -> list[dict[str, Any]]:
    sagemaker = running.client("sagemaker")
    listed = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=found(said, "tuning job")
    )["TrainingJobSummaries"]
    return [
        dict(sagemaker.describe_training_job(TrainingJobName=each["TrainingJobName"]))
        for each in listed
    ]


def test_the_best_values_are_named_and_the_final_fit_is_with_them(
    running: local.LocalCloud, said: str, trials: list[dict[str, Any]]
) -> None:
    told = [trial["HyperParameters"] for trial in trials]
    best = min(told, key=lambda each: max(float(each["lr"]) / BEST, BEST / float(each["lr"])))
    assert f"best: lr={best['lr']} batch-size={best['batch-size']}" in said
    job = running.client("sagemaker").describe_training_job(
        TrainingJobName=found(said, "final fit")
    )
    assert job["TrainingJobStatus"] == "Completed"
    for name in ("lr", "batch-size", "epochs", "tuned"):
        assert job["HyperParameters"][name] == best[name]


def test_a_search_that_nobody_watched_to_its_end_is_gone_on_with(
    running: local.LocalCloud, person: Person, photos: Path, said: str
) -> None:
    search = found(said, "tuning job")
    options = ["--image", STAND_IN, "--trials=3", "--epochs=3", "--name=search"]
    done = person.types("tune", str(photos), *options, "--attach", search)
    assert done.returncode == 0, done.stdout + done.stderr
    assert found(done.stdout, "tuning job") == search
    assert found(done.stdout, "best") == found(said, "best")
    assert found(done.stdout, "final fit") != found(said, "final fit")


def test_watching_and_compiling_are_for_the_final_fit(
    running: local.LocalCloud, said: str, trials: list[dict[str, Any]]
) -> None:
    final = running.client("sagemaker").describe_training_job(
        TrainingJobName=found(said, "final fit")
    )["HyperParameters"]
    assert {trial["HyperParameters"]["debug"] for trial in trials} == {"off"}
    assert {trial["HyperParameters"]["compile"] for trial in trials} == {"none"}
    assert (final["debug"], final["compile"]) == ("on", "auto")


def test_a_test_split_is_taken_out_because_validation_chose(
    running: local.LocalCloud, trials: list[dict[str, Any]]
) -> None:
    uris = {
        channel["DataSource"]["S3DataSource"]["S3Uri"]
        for trial in trials
        for channel in trial["InputDataConfig"]
    }
    [data] = uris
    prefix = data.split("/", 3)[3]
    kept = running.client("s3").list_objects_v2(Bucket=running.bucket, Prefix=prefix)["Contents"]
    names = [item["Key"].removeprefix(prefix) for item in kept]
    splits = [name.partition("/")[0] for name in names if "/" in name]
    assert {split: splits.count(split) for split in splits} == {
        "train": 16,
        "validation": 6,
        "test": 4,
    }


def test_curves_and_log_of_every_trial_are_kept(
    person: Person, said: str, trials: list[dict[str, Any]]
) -> None:
    folder = person.folder / "build" / "reports" / found(said, "tuning job")
    kept = json.loads((folder / "trials.json").read_text())
    assert [trial["name"] for trial in kept["trials"]] == [
        trial["TrainingJobName"] for trial in trials
    ]
    for trial in kept["trials"]:
        assert [epoch["epoch"] for epoch in trial["curves"]] == [1, 2, 3]
        assert trial["score"] == pytest.approx(trial["curves"][-1]["validation_accuracy"])
        assert "step=3 " in (folder / trial["name"] / "log.txt").read_text()
    assert (folder / "trials.html").is_file()


def test_a_table_shows_how_each_trial_went(said: str, trials: list[dict[str, Any]]) -> None:
    rows = re.findall(r"^(\d) +([\d.e-]+) +(\d+) +Completed +3/3 +0\.\d{4}", said, re.MULTILINE)
    assert [row[0] for row in rows] == ["1", "2", "3"]
    for row, trial in zip(rows, trials, strict=True):
        assert row[2] == trial["HyperParameters"]["batch-size"]
        assert float(row[1]) == pytest.approx(float(trial["HyperParameters"]["lr"]), rel=1e-3)
