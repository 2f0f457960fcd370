"""One of each page that people read, with something in every part of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from batch.claim import Run
from batch.outcome import Predicted, PreviousAnswer, Refusal
from batch.reports import change_page, folder_page
from batch.reports.changes import Changes
from batch.reports.folder_page import Gallery
from domain.model import ModelCard, Preprocessing
from domain.reply import Label
from infra.diagnostics.cost import load_prices
from infra.verify import report as verify_report
from infra.verify.redaction import Redaction
from infra.verify.report import Report
from infra.verify.step import Step, StepResult, Usage
from pages.render import render
from tests.support.builders.images import encoded
from tests.support.worlds.jobs import data_set
from training.config.metrics import EpochMetrics
from training.config.train_config import TrainConfig
from training.config.trials import Trial
from training.data import dataset as data
from training.debugger import report as debug_report
from training.debugger.report import ISSUE, NO_ISSUE, DebugSummary, RuleResult
from training.evaluation.accuracy import Evaluation, Evaluations
from training.findings.finding import DataFinding
from training.findings.in_training import CheckedData
from training.profiler import report as profiler_report
from training.profiler.operators import Operator
from training.profiler.profiler import BACKWARD, DATA, FORWARD, OPTIMIZER
from training.profiler.rules import Profile
from training.profiler.series import Series
from training.profiler.system_metrics import CPU, PROCESS, WAITING
from training.reports import training_report, trials_page

LABELS = ("Äpfel", "кот", "a label that is so long that it has to be broken somewhere", "パンツ")
SPLITS = ("train", "validation", "test")
ORIGIN = "Job sortbox-dev-pets-1, written 2026-01-01T00:00:00Z."
AT = "2026-01-01T00:00:00Z"


def sample_pages(folder: Path) -> dict[str, str]:
    """The pages by name; what they are made from is written below `folder`."""
    return {
        "folder": _folder(),
        "change": _change(),
        "training": _training(folder / "training"),
        "debug": _debug(folder / "debug"),
        "profiler": _profiler(folder / "profiler"),
        "search": _search(),
        "verify": _verify(folder / "verify"),
        "index": _index(),
    }


def _predicted(number: int) -> Predicted:
    labels = tuple(Label(label, 0.9 / (place + 1)) for place, label in enumerate(LABELS))
    return Predicted(f"inbox/trip/{number} an image.jpg", "e", labels, "m", AT)


def _refusal(number: int) -> Refusal:
    why = "The JPEG is cut off. Upload it again."
    return Refusal(f"inbox/trip/broken {number}.jpg", "e", "damaged", why, "m", AT)


def _thumbnail(key: str) -> bytes:
    return encoded(Image.new("RGB", (60, 40), (200, 30, 30)), "JPEG")


def _folder() -> str:
    gallery = Gallery()
    for number in range(12):
        gallery.add(_predicted(number))
        gallery.add(_refusal(number))
    summary: dict[str, Any] = {"folder": "inbox/trip/", "labels": dict.fromkeys(LABELS, 3)}
    summary |= dict.fromkeys(("images", "classified", "rejected", "unanswered", "ignored"), 12)
    reason = "a system file"
    ignored = [{"key": f"inbox/trip/{n}/.DS_Store", "reason": reason} for n in range(11)]
    summary |= {"unlisted": 2, "ignored_reasons": {reason: 12}, "ignored_files": ignored}
    return folder_page.page("outbox/trip/_report.html", summary, gallery, _thumbnail)


def _change() -> str:
    changes = Changes()
    for number, label in enumerate(LABELS * 3):
        changes.add(_predicted(number), PreviousAnswer(label, 0.5, "m"))
        changes.add(_refusal(number), None)
    run = Run("trip/", "0123456789", AT, first=False, kind="renewal")
    return change_page.page(run, changes, _thumbnail)


def _training(folder: Path) -> str:
    dataset = data.prepare(data_set(folder / "data"), False, 0.0, lambda: None)
    count = len(dataset.splits[dataset.test_split])
    truth = np.arange(count) % 3
    predicted = np.where(np.arange(count) % 4 == 0, (truth + 1) % 3, truth)
    confidence = np.linspace(0.5, 0.9, count).astype(np.float32)
    names = [f"{split}_{name}" for split in SPLITS for name in ("loss", "accuracy")]
    epochs: list[EpochMetrics] = [
        {"epoch": epoch} | dict.fromkeys(names, 1 / epoch) for epoch in (1.0, 2.0, 3.0)
    ]
    card = ModelCard(
        name="pets",
        architecture="resnet50",
        labels=dataset.labels,
        preprocessing=Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        weights_sha256="0" * 64,
        temperature=1.25,
        provenance={
            "weights": "not pretrained",
            "code": "sha256:1",
            "hyperparameters": json.dumps(TrainConfig().to_strings()),
        },
    )
    final = Evaluation(truth, predicted, confidence, 1 - confidence)
    both = Evaluations(final, final)
    path, twin = (dataset.splits[split][0].path for split in ("train", "test"))
    findings = [
        DataFinding(path, "train", dataset.labels[0], "leak", 0.99, twin),
        DataFinding(path, "train", dataset.labels[0], "label_error", 0.4, dataset.labels[1]),
    ]
    training_report.write(folder, card, CheckedData(dataset, findings), epochs, both, ORIGIN)
    return (folder / "report.html").read_text()


def _debug(folder: Path) -> str:
    rules = (
        RuleResult("ExplodingTensor", ISSUE, "The loss became nan.", 3, ("loss",), "Lower --lr."),
        RuleResult("Overfit", NO_ISSUE, "Validation follows train."),
    )
    points = [(0.0, 1.0), (1.0, 0.5), (2.0, 0.25)]
    curves = {"train": points, "validation": points}
    summary = DebugSummary("on", "every 3 steps", ("losses",), rules, curves, curves, 3, 5_000)
    debug_report.write(folder, summary, ORIGIN)
    return (folder / "debug.html").read_text()


def _profiler(folder: Path) -> str:
    series = Series()
    for step in range(20):
        series.add(step, 0.1 + step % 3)
    operators = [Operator(f"aten::conv{number}", FORWARD, 2.0, 1.5, 0.1) for number in range(12)]
    split = {DATA: 0.01, FORWARD: 0.02, BACKWARD: 0.04, OPTIMIZER: 0.005}
    usage = {CPU: series, PROCESS: series, WAITING: series}
    profile = Profile(
        split=split,
        steps=20,
        seconds=10.0,
        in_steps=6.0,
        before_first=1.0,
        after_last=2.0,
        operators=operators,
        step_seconds=series,
        memory=series,
        gpu_memory=Series(),
        usage=usage,
        decoders=2,
        trouble="",
    )
    profiler_report.write(folder, profile, ORIGIN)
    return (folder / profiler_report.FOLDER / "profiler-report.html").read_text()


def _search() -> str:
    def trial(number: int) -> Trial:
        values = {"lr": f"{10 ** -(1 + number / 6):.5f}", "batch-size": "32"}
        score = None if number == 3 else 0.5 + number / 30
        state = "Failed" if score is None else "Completed"
        epochs = tuple(
            {"epoch": float(epoch), "validation_accuracy": (score or 0) * epoch / 3}
            for epoch in (1, 2, 3)
        )
        return Trial(str(number), values, state, score, epochs, "" if score else "It ran away.")

    trials = [trial(number) for number in range(1, 13)]
    return trials_page.html("pets", "validation_accuracy", "lr=0.001:0.1 batch-size=32,64", trials)


def _verify(folder: Path) -> str:
    steps = [Step(name, "a request", "an answer", Usage(4, 30), lambda site: "") for name in "ab"]
    results = [StepResult("a", "passed", "fine", 60.0), StepResult("b", "failed", "no answer", 9.0)]
    report = Report("AWS, eu-west-1", True, "ml.m5.xlarge", steps, results, results)
    verify_report.write(report, load_prices(), Redaction(()), folder)
    return (folder / "verify.html").read_text()


def _index() -> str:
    rows = [{"cells": [f"trip {number}/", "finished", 12, AT], "href": "x"} for number in range(12)]
    shown = {"name": "Folders", "heads": ["folder", "state", "images", "updated"], "rows": rows}
    empty = {"name": "Jobs", "heads": [], "rows": [], "empty": "No training job has been started."}
    lists = [{"has_more": True, "empty": ""} | shown, {"has_more": False} | empty]
    return render("runs/index.html.jinja", title="Stage dev", lists=lists, made_at=AT)
