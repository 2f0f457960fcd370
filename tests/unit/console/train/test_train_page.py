"""The page of training: the form is that of the command line, and curves come from the log."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import boto3
import pytest

from console.actions.verbs import hyperparameter_words
from console.context import Console
from console.train.curves import DRAWN_EPOCHS, CurveReader
from console.train.routes import form_options
from infra.review.stored import CorrectionStore
from tests.support.consoles.operated import JOB, log_epochs, operated_console
from tests.support.worlds.consoles import REGION, client
from training.config.hyperparameter import flag
from training.config.train_config import TrainConfig


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with operated_console(tmp_path / "console") as console:
        yield console


def test_the_form_has_every_hyperparameter_and_its_defaults_are_taken(console: Console) -> None:
    options = form_options()
    assert [option["name"] for option in options] == [flag(spec) for spec in fields(TrainConfig)]
    text = client(console).get("/train").text
    assert all(f'name="{option["name"]}"' in text for option in options)
    defaults = {option["name"]: option["default"] for option in options}
    assert len(hyperparameter_words(defaults, ranges=False)) == len(options)


def test_a_job_has_a_page_and_its_values_are_text(console: Console) -> None:
    text = client(console).get(f"/train?job={JOB}").text
    assert JOB in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert" not in text
    assert f"/reports/jobs/{JOB}/report.html" in text


@pytest.mark.parametrize("name", ["nobody", "a b", "<script>", "../x"])
def test_a_job_that_is_not_there_is_a_sentence(console: Console, name: str) -> None:
    answer = client(console).get("/train", params={"job": name})
    assert answer.status_code == 404
    assert "There is no job" in answer.text
    assert "<script>" not in answer.text.replace('<script type="module"', "")


def test_curves_are_the_epochs_of_the_log(console: Console) -> None:
    log_epochs(3)
    curves = client(console).get(f"/api/jobs/{JOB}/curves").json()
    assert [row["epoch"] for row in curves["epochs"]] == [1, 2, 3]
    assert curves["epochs"][1]["validation_loss"] == 1
    assert (curves["of"], curves["live"], curves["doing"]) == (3, False, "trains")


def test_a_log_is_not_read_twice(console: Console) -> None:
    log_epochs(2)
    logs, lines = boto3.client("logs", region_name=REGION), []
    logs.meta.events.register(
        "after-call.cloudwatch-logs.GetLogEvents",
        lambda parsed, **_: lines.extend(parsed["events"]),
    )
    reader, job = CurveReader(logs), console.sagemaker.describe_training_job(TrainingJobName=JOB)
    first, second = (reader.read(job) for _ in range(2))
    assert first == second, "the same epochs once"
    assert len(lines) == 3, "it is read on from where it was read to"


def test_a_long_curve_is_thinned_and_keeps_its_end(console: Console) -> None:
    log_epochs(2 * DRAWN_EPOCHS + 2)
    epochs = client(console).get(f"/api/jobs/{JOB}/curves").json()["epochs"]
    assert len(epochs) <= DRAWN_EPOCHS
    assert epochs[-1]["epoch"] == 2 * DRAWN_EPOCHS + 2


def test_a_job_before_its_first_line_has_no_curve(console: Console) -> None:
    curves: dict[str, Any] = client(console).get(f"/api/jobs/{JOB}/curves").json()
    assert (curves["epochs"], curves["problem"]) == ([], "")


def test_without_corrections_the_page_leads_to_them(console: Console) -> None:
    text = client(console).get("/train").text
    assert "Nobody has corrected an answer yet" in text
    assert CorrectionStore(console.bucket, console.folder).totals().corrected == 0
