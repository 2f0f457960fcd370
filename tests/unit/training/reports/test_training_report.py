import hashlib
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.ignored.names import DATASET_RECORD
from domain.model import ModelCard, Preprocessing, Promise, UnknownRule
from pages import charts
from tests.support.builders.pages import foreign_markup
from tests.support.worlds.jobs import data_set
from training.config.metrics import EpochMetrics
from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.data.dataset import Dataset
from training.data.unused import Record, UnusedFiles
from training.evaluation.accuracy import Evaluation, Evaluations
from training.findings import finding
from training.findings.finding import DataFinding
from training.findings.in_training import CheckedData
from training.reports import diagnosis, training_report

HISTORY: list[EpochMetrics] = [
    {
        "epoch": float(epoch),
        "train_loss": 1 / epoch,
        "train_accuracy": 0.9,
        "validation_loss": 1 / epoch,
        "validation_accuracy": 0.85,
        "test_loss": 1.1 / epoch,
        "test_accuracy": 0.8,
    }
    for epoch in (1, 2, 3)
]


def card(dataset: Dataset, name: str = "pets") -> ModelCard:
    return ModelCard(
        name=name,
        architecture="resnet50",
        labels=dataset.labels,
        preprocessing=Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        weights_sha256=hashlib.sha256(b"").hexdigest(),
        provenance={
            "weights": "not pretrained",
            "code": "sha256:1",
            "hyperparameters": json.dumps(TrainConfig().to_strings()),
        },
    )


def judged(predicted: list[int]) -> Evaluation:
    """Twelve images of three classes, four of each, surer from one to the next."""
    truth = np.repeat([0, 1, 2], 4)
    confidence = np.linspace(0.5, 0.9, 12).astype(np.float32)
    return Evaluation(truth, np.array(predicted), confidence, 1 - confidence)


MISTAKEN = judged([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 1, 0])


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def written(folder: Path, dataset: Dataset, name: str = "pets") -> tuple[str, dict[str, Any]]:
    origin = "Job <b>, written today."
    both = Evaluations(MISTAKEN, None)
    training_report.write(folder, card(dataset, name), CheckedData(dataset), HISTORY, both, origin)
    content: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return (folder / "report.html").read_text(), content


def prepared(root: Path) -> Dataset:
    return data.prepare(data_set(root), False, 0.0, lambda: None)


def test_the_report_tells_what_was_confused_with_what(tmp_path: Path) -> None:
    page, content = written(tmp_path / "out", prepared(tmp_path / "data"))
    assert content["judged_on"] == "test"
    assert ">test images</th>" in page
    assert content["result"]["accuracy"] == 0.75
    assert content["confusion"] == [[3, 1, 0], [0, 4, 0], [1, 1, 2]]
    assert content["classes"][1] == {
        "label": "green",
        "learnt": 16,
        "judged": 4,
        "precision": 0.6667,
        "recall": 1.0,
    }
    assert [each["confidence"] for each in content["mistakes"]] == [0.9, 0.8636, 0.6091]
    assert content["mistakes"][0]["predicted"] == "blue"
    assert content["curves"] == HISTORY


def test_the_report_says_what_was_left_out_before_the_upload_and_in_the_job(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data")
    before = UnusedFiles(
        {"macOS: settings of a folder": 3}, {"macOS: settings of a folder": ["a", "b"]}
    )
    record = Record(2, ("red/cut.jpg: The JPEG is cut off.",), before)
    (root / DATASET_RECORD).write_text(record.to_json())
    (root / "train" / "red" / "cut.png").write_bytes(b"text")
    (root / "README.md").write_text("about")
    dataset = data.prepare(root, False, 0.1, lambda: None)
    text, content = written(tmp_path / "out", dataset)
    assert content["data"]["left_out"] == 3
    assert content["data"]["left_out_such_as"][0] == "red/cut.jpg: The JPEG is cut off."
    assert content["data"]["left_out_such_as"][1].startswith("train/red/cut.png: ")
    assert content["data"]["unused"] == {
        "macOS: settings of a folder": 3,
        "beside the folders": 1,
    }
    for part in ("3 images, such as red/cut.jpg", "train/red/cut.png", "README.md"):
        assert part in text
    assert "left out as unreadable: 3 images:" in data.describe(dataset)


def test_without_a_test_split_no_column_speaks_of_test_images(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data")
    shutil.rmtree(root / "test")
    page, content = written(tmp_path / "out", data.prepare(root, False, 0.0, lambda: None))
    assert content["judged_on"] == "validation"
    assert ">validation images</th>" in page
    assert "test images" not in page


def test_scores_before_and_after_the_temperature(tmp_path: Path) -> None:
    dataset = prepared(tmp_path / "data")
    calibrated = replace(card(dataset), temperature=1.25)
    both = Evaluations(MISTAKEN, judged([0] * 4 + [1] * 4 + [2] * 4))
    training_report.write(
        tmp_path / "out", calibrated, CheckedData(dataset), HISTORY, both, "today"
    )
    page = (tmp_path / "out" / "report.html").read_text()
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert content["model"]["temperature"] == 1.25
    assert (content["result"]["accuracy"], content["served"]["accuracy"]) == (0.75, 1.0)
    assert content["served"]["reliability"] != content["reliability"]
    assert "with the temperature 1.25 that validation images chose: 0.300, on 12 test" in page
    assert page.count("accuracy by confidence") == 2
    assert page.count("share of wrong answers") >= 1
    assert "Nothing is promised" in page


def test_the_promise_and_how_the_test_split_keeps_it(tmp_path: Path) -> None:
    dataset = prepared(tmp_path / "data")
    promising = replace(card(dataset), promise=Promise(0.05, 0.69, 300, 6, 341))
    both = Evaluations(MISTAKEN, judged([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 0]))
    content = training_report.report_json(promising, CheckedData(dataset), HISTORY, both)
    assert content["served"]["promise"] == {"accepted": 0.5, "wrong": pytest.approx(1 / 6)}
    assert content["served"]["coverage"][-1] == {"accepted": 1.0, "wrong": pytest.approx(1 / 6)}
    assert content["served"]["coverage"][0] == {"accepted": pytest.approx(1 / 12), "wrong": 1.0}
    training_report.write(tmp_path / "out", promising, CheckedData(dataset), HISTORY, both, "today")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "at most 5.0% of the answers above a score of 0.690 are wrong" in page
    assert "50.0% are above it, and 16.7% of those wrong" in page


def test_a_promise_beside_a_rule_for_unknown_images_is_about_the_others(tmp_path: Path) -> None:
    """Its statistics are of validation images that are not unknown, and say nothing of the rest."""
    dataset = prepared(tmp_path / "data")
    rule = UnknownRule(0.05, 0.3, 17, 341, 40, 3, "0" * 64)
    promising = replace(card(dataset), promise=Promise(0.05, 0.69, 300, 6, 324), unknown=rule)
    distance = np.array([*[0.2] * 10, 0.4, 0.4], np.float32)
    served = replace(judged([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 0]), distance=distance)
    both = Evaluations(MISTAKEN, served)
    training_report.write(tmp_path / "out", promising, CheckedData(dataset), HISTORY, both, "today")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "answers above a score of 0.690 that are not unknown are wrong" in page
    assert "chosen by 324 validation images that are not unknown, of which" in page
    assert "33.3% are above it and not unknown, and 0.0% of those wrong" in page
    assert "16.7% are unknown" in page
    promising = replace(promising, promise=Promise(0.05, 1.0, 0, 0, 57))
    training_report.write(tmp_path / "out", promising, CheckedData(dataset), HISTORY, both, "today")
    page = (tmp_path / "out" / "report.html").read_text()
    assert (
        "from 57 validation images that are not unknown: every answer that is not unknown" in page
    )


def test_without_a_rule_for_unknown_images_the_report_says_what_one_needs(tmp_path: Path) -> None:
    """`--unknown` may have been given, with too few validation images."""
    page, _ = written(tmp_path / "out", prepared(tmp_path / "data"))
    assert "19 validation images" in page


def test_a_promise_that_nothing_keeps_is_said(tmp_path: Path) -> None:
    dataset = prepared(tmp_path / "data")
    promising = replace(card(dataset), promise=Promise(0.05, 1.0, 0, 0, 60))
    both = Evaluations(MISTAKEN, MISTAKEN)
    training_report.write(tmp_path / "out", promising, CheckedData(dataset), HISTORY, both, "today")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "cannot be promised from 60 validation images: every answer is" in page


def test_a_report_of_scores_without_a_temperature_says_so(tmp_path: Path) -> None:
    page, content = written(tmp_path / "out", prepared(tmp_path / "data"))
    assert content["served"] is None
    assert "fitted to 100 validation images or more" in page
    assert page.count("accuracy by confidence") == 1


def test_what_was_found_in_the_data_is_shown_and_listed(tmp_path: Path) -> None:
    """The list is what the next training takes to leave images out."""
    dataset = prepared(tmp_path / "data")
    twin, copy = dataset.splits["test"][0].path, dataset.splits["train"][0].path
    doubtful = [example.path for example in dataset.splits["train"]][1:9]
    found = (
        DataFinding(copy, "train", "red", "leak", 0.9971, twin),
        *(DataFinding(path, "train", "red", "label_error", 0.5, "blue") for path in doubtful),
        DataFinding("", "train", "green", "imbalance", 12.0, ""),
    )
    both = Evaluations(MISTAKEN, None)
    for _ in range(2):  # a job that was restarted writes again
        checked = CheckedData(dataset, found)
        training_report.write(tmp_path / "out", card(dataset), checked, HISTORY, both, "today")
    page = (tmp_path / "out" / "report.html").read_text()
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert content["findings"]["counts"] == {"leak": 1, "label_error": 8, "imbalance": 1}
    assert f"a copy of <bdi>{twin}</bdi>" in page
    assert page.count(", perhaps <b><bdi>blue</bdi></b>") == training_report.FINDINGS, (
        "bounded, by kind"
    )
    assert "--exclude findings.csv" in page
    assert finding.read_paths(tmp_path / "out" / "findings.csv") == {copy, *doubtful}


def test_mistakes_show_what_the_network_saw(tmp_path: Path) -> None:
    dataset = prepared(tmp_path / "data")
    pixels = np.zeros((32, 32, 3), np.uint8)
    explained = {int(MISTAKEN.worst_mistakes(1)[0]): pixels}
    both = Evaluations(MISTAKEN, None, explained=explained)
    training_report.write(
        tmp_path / "out", card(dataset), CheckedData(dataset), HISTORY, both, "today"
    )
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3 + 1
    assert "what spoke for blue" in page


def test_a_report_says_why_the_data_were_not_checked(tmp_path: Path) -> None:
    dataset = prepared(tmp_path / "data")
    unchecked = CheckedData(dataset, why_not="There are too many images.")
    both = Evaluations(MISTAKEN, None)
    training_report.write(tmp_path / "out", card(dataset), unchecked, HISTORY, both, "today")
    assert "There are too many images." in (tmp_path / "out" / "report.html").read_text()
    assert not (tmp_path / "out" / "findings.csv").exists()


def test_a_class_that_is_never_predicted_has_no_precision(tmp_path: Path) -> None:
    dataset = prepared(tmp_path)
    content = training_report.report_json(
        card(dataset), CheckedData(dataset), HISTORY, Evaluations(judged([0] * 8 + [1] * 4), None)
    )
    assert [each["precision"] for each in content["classes"]] == [0.5, 0.0, None]


def test_the_page_needs_nothing_from_anywhere(tmp_path: Path) -> None:
    text, _ = written(tmp_path / "out", prepared(tmp_path / "data"))
    tags = Page(text).tags
    pictures = [attributes["src"] or "" for tag, attributes in tags if tag == "img"]
    assert len(pictures) == 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in pictures)
    assert not {tag for tag, _ in tags} & {"link", "iframe", "object"}
    assert [tag for tag, _ in tags].count("script") == 1, "ours, which sorts tables"
    assert not re.search(r"""(href|src)=["'](?!data:)""", foreign_markup(text))
    assert "default-src 'none'" in text


def test_names_from_outside_are_text_and_never_markup(tmp_path: Path) -> None:
    root = data_set(tmp_path / "data")
    evil = "<script>alert(1)<" + '\u2215script> & "x" \''
    for split in ("train", "validation", "test"):
        (root / split / "red").rename(root / split / evil)
    dataset = data.prepare(root, False, 0.0, lambda: None)
    text, content = written(tmp_path / "out", dataset)
    assert evil in dataset.labels
    assert "<script" not in foreign_markup(text)
    assert "&lt;script&gt;alert(1)&lt;" in text
    assert evil in {each["label"] for each in content["classes"]}


@pytest.mark.parametrize("count", [2, 25, 26, 133])
def test_a_confusion_matrix_names_every_class(count: int) -> None:
    labels = [f"{number:03}.Breed" for number in range(count)]
    matrix = np.eye(count, dtype=int) * 4
    matrix[0, 1] = 2
    picture = charts.confusion(matrix.tolist(), labels)
    assert all(picture.count(f">{label}</text>") == 2 for label in labels)
    assert picture.count("<rect") == count + 2, "a frame, and the cells with images in them"
    assert "000.Breed taken for 001.Breed: 2 (33%)" in picture


def test_many_classes_are_told_by_their_commonest_confusions(tmp_path: Path) -> None:
    labels = [f"class{number}" for number in range(1000)]
    wrong = np.zeros((1000, 1000), dtype=int)
    wrong[3, 4], wrong[5, 6] = 9, 11
    found = training_report._confused(wrong, labels)
    assert found == [
        {"label": "class5", "predicted": "class6", "images": 11},
        {"label": "class3", "predicted": "class4", "images": 9},
    ]


def epochs(train: list[float], validation: list[float], losses: list[float]) -> list[EpochMetrics]:
    return [
        {
            "epoch": number,
            "train_loss": 1 - right,
            "train_accuracy": right,
            "validation_accuracy": seen,
            "validation_loss": loss,
        }
        for number, (right, seen, loss) in enumerate(zip(train, validation, losses, strict=True), 1)
    ]


@pytest.mark.parametrize(
    ("history", "smallest", "words"),
    [
        (epochs([0.8, 0.9, 0.99], [0.8, 0.8, 0.79], [0.5, 0.4, 0.6]), 50, ["Overfitted: "]),
        (epochs([0.8, 0.9, 0.99], [0.8, 0.8, 0.8], [0.5, 0.4, 0.4]), 50, ["Slightly overfitted"]),
        (epochs([0.3, 0.4, 0.4], [0.3, 0.4, 0.4], [1.5, 1.4, 1.4]), 50, ["Underfitted"]),
        (epochs([0.8, 0.9], [0.8, 0.9], [0.5, 0.3]), 50, ["Not converged"]),
        (epochs([0.8], [0.8], [0.5]), 50, ["One epoch"]),
        (epochs([0.8, 0.9, 0.9], [0.8, 0.9, 0.9], [0.5, 0.4, 0.4]), 50, ["Converged"]),
        (
            epochs([0.8, 0.9, 0.9], [0.8, 0.9, 0.9], [0.5, 0.4, 0.4]),
            7,
            ['Too little data: "hat" has 7 training images'],
        ),
        (
            epochs([0.3, 0.4], [0.3, 0.4], [1.5, 1.2]),
            7,
            ["Too little", "Underfitted", "Not converged"],
        ),
    ],
)
def test_the_shape_of_the_curves_is_put_in_words(
    history: list[EpochMetrics], smallest: int, words: list[str]
) -> None:
    found = diagnosis.diagnose(history, ("hat", smallest))
    assert len(found) == len(words)
    assert all(each.startswith(word) for each, word in zip(found, words, strict=True))
