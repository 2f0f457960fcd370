"""The training report: one HTML file that opens without a network, and the same as JSON.

Whatever the size of the data set, it holds a row a class, a cell a pair of classes that were
confused, and thumbnails of `explained.MISTAKES` and of FINDINGS a kind.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.model import ModelCard
from domain.route import LARGEST_BYTES
from pages import charts
from pages.render import render
from serving.decoding.bounds import MAX_PIXELS
from serving.decoding.decode import decode
from serving.files import read_regular
from serving.preprocess import Pixels
from training.config.metrics import EpochMetrics
from training.config.trials import shorten
from training.data.dataset import Dataset
from training.data.unused import EXAMPLES_SHOWN
from training.evaluation import accuracy
from training.evaluation.accuracy import Evaluation, Evaluations
from training.evaluation.explained import MISTAKES
from training.findings import finding
from training.findings.finding import DataFinding
from training.findings.in_training import CheckedData
from training.reports import diagnosis

if TYPE_CHECKING:
    from markupsafe import Markup

FINDINGS = 6
THUMBNAIL = 160
"""Pixels of the longer side."""

MAX_DRAWN_CLASSES = 133
"""Classes: a larger matrix is given as its commonest confusions only."""

PAIRS = 20


def write(
    folder: Path,
    card: ModelCard,
    checked: CheckedData,
    history: Sequence[EpochMetrics],
    evaluations: Evaluations,
    origin: str,
) -> None:
    """report.html, report.json, predictions.csv and the findings. `origin`: which job wrote it,
    and when.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dataset = checked.dataset
    content = report_json(card, checked, history, evaluations)
    for name in (finding.CSV_NAME, finding.JSON_NAME):
        (folder / name).unlink(missing_ok=True)  # of the same job, before it was restarted
    if not checked.why_not:
        finding.write(checked.findings, content["data"]["images"], folder)
    (folder / "report.json").write_text(json.dumps(content, indent=1, ensure_ascii=False))
    examples = dataset.splits[dataset.test_split]
    accuracy.write_predictions(
        folder / "predictions.csv", evaluations.network, examples, dataset.labels
    )
    rows = evaluations.network.worst_mistakes(MISTAKES).tolist()
    drawn = map(evaluations.explained.get, rows)
    explained = [None if pixels is None else _jpeg(pixels) for pixels in drawn]
    (folder / "report.html").write_text(_html(content, checked, explained, origin))


def report_json(
    card: ModelCard,
    checked: CheckedData,
    history: Sequence[EpochMetrics],
    evaluations: Evaluations,
) -> dict[str, Any]:
    """report.json"""
    dataset = checked.dataset
    evaluation, served = evaluations.network, evaluations.served
    matrix = evaluation.confusion(len(dataset.labels))
    train = dataset.counts("train")
    scarcest = int(np.argmin(train))
    return {
        "model": json.loads(card.to_json()) | {"digest": card.digest},
        "judged_on": dataset.test_split,
        "result": evaluation.metrics(),
        "reading": diagnosis.diagnose(history, (dataset.labels[scarcest], train[scarcest])),
        "networks": [asdict(network) for network in evaluations.networks],
        "curves": list(history),
        "data": {
            "fingerprint": dataset.fingerprint,
            "images": {split: len(examples) for split, examples in dataset.splits.items()},
            "left_out": dataset.record.left_out + len(dataset.left_out),
            "left_out_such_as": [*dataset.record.left_out_such_as, *dataset.left_out][
                :EXAMPLES_SHOWN
            ],
            "unused": dataset.all_unused.files,
            "unused_such_as": dataset.all_unused.such_as,
            "learnt_and_judged": len(dataset.duplicates),
            "learnt_and_judged_such_as": list(dataset.duplicates[:EXAMPLES_SHOWN]),
        },
        "findings": {
            "counts": finding.count_kinds(checked.findings),
            "why_not": checked.why_not or None,
        },
        "classes": _classes(dataset, matrix),
        "confusion": matrix.tolist(),
        "confused": _confused(matrix, dataset.labels),
        "reliability": _reliability(evaluation),
        "served": served and _served(card, served),
        "mistakes": _mistakes(dataset, evaluation),
    }


def _reliability(evaluation: Evaluation) -> list[dict[str, float]]:
    return [
        {"images": count, "confidence": confidence, "accuracy": accuracy}
        for count, confidence, accuracy in evaluation.reliability
    ]


def _served(card: ModelCard, served: Evaluation) -> dict[str, Any]:
    return {
        **served.metrics(),
        "reliability": _reliability(served),
        "coverage": [{"accepted": share, "wrong": wrong} for share, wrong in served.coverage],
        "promise": card.promise
        and dict(
            zip(
                ("accepted", "wrong"),
                served.accepted(card.promise.threshold, card.unknown),
                strict=True,
            )
        ),
        "unknown": card.unknown and float(served.unknown(card.unknown).mean()),
    }


def _classes(dataset: Dataset, matrix: NDArray[np.int64]) -> list[dict[str, Any]]:
    train = dataset.counts("train")
    right, true, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    return [
        {
            "label": label,
            "learnt": train[row],
            "judged": int(true[row]),
            "precision": round(float(right[row] / predicted[row]), 4) if predicted[row] else None,
            "recall": round(float(right[row] / true[row]), 4) if true[row] else None,
        }
        for row, label in enumerate(dataset.labels)
    ]


def _confused(matrix: NDArray[np.int64], labels: Sequence[str]) -> list[dict[str, Any]]:
    wrong = matrix * (1 - np.eye(len(labels), dtype=int))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [
        {"label": labels[row], "predicted": labels[column], "images": int(wrong[row, column])}
        for row, column in pairs
        if wrong[row, column]
    ]


def _mistakes(dataset: Dataset, final: Evaluation) -> list[dict[str, Any]]:
    """The most confident first."""
    return [
        {
            "image": dataset.splits[dataset.test_split][row].path,
            "label": dataset.labels[final.truth[row]],
            "predicted": dataset.labels[final.predicted[row]],
            "confidence": round(float(final.confidence[row]), 4),
            "label_probability": round(float(final.label_probability[row]), 4),
        }
        for row in final.worst_mistakes(MISTAKES)
    ]


def _findings_shown(checked: CheckedData) -> list[DataFinding]:
    """The strongest FINDINGS of each kind that is about images."""
    shown: list[DataFinding] = []
    for kind in finding.KINDS:
        own = (one for one in checked.findings if one.finding == kind and one.path)
        shown += islice(own, FINDINGS)
    return shown


def _html(
    content: dict[str, Any], checked: CheckedData, explained: Sequence[bytes | None], origin: str
) -> str:
    """`explained`: a picture for each of the mistakes."""
    dataset = checked.dataset
    labels, history, classes = dataset.labels, content["curves"], content["classes"]
    model = content["model"]
    return render(
        "training/report.html.jinja",
        title=f"Training report: {model['name']}",
        origin=origin,
        content=content,
        curves=[
            charts.lines(_by_split(history, "accuracy"), "accuracy", "epoch", from_zero=False),
            charts.lines(_by_split(history, "loss"), "loss", "epoch"),
        ],
        networks=[_network_row(network, model["architecture"]) for network in content["networks"]],
        facts_of_data=_facts(content["data"], [row["learnt"] for row in classes]),
        confusion=charts.confusion(content["confusion"], labels)
        if len(labels) <= MAX_DRAWN_CLASSES
        else "",
        confused=[
            (row["label"], row["predicted"], str(row["images"])) for row in content["confused"]
        ],
        classes=sorted(classes, key=lambda row: (row["recall"] is None, row["recall"])),
        reliability=_draw_reliability(content["reliability"]),
        served_reliability=_draw_reliability((content["served"] or {}).get("reliability", ())),
        coverage=_draw_coverage((content["served"] or {}).get("coverage", ())),
        found_kinds=[
            (kind, f"{count:,}", finding.KINDS[kind])
            for kind, count in content["findings"]["counts"].items()
        ],
        found=[
            (one, _thumbnail(dataset, one.path), _twin(dataset, one))
            for one in _findings_shown(checked)
        ],
        explains=any(explained),
        mistakes=[
            (mistake, _thumbnail(dataset, mistake["image"]), drawn)
            for mistake, drawn in zip(content["mistakes"], explained, strict=True)
        ],
        provenance=[
            ("digest", model["digest"]),
            ("code", model["provenance"]["code"]),
            *json.loads(model["provenance"]["hyperparameters"]).items(),
        ],
    )


def _network_row(network: dict[str, Any], chosen: str) -> tuple[str, ...]:
    score, values = network["score"], network["values"].items()
    return (
        network["arch"] + (" ★" if network["arch"] == chosen else ""),
        "" if score is None else f"{score:.4f}",
        f"{network['seconds']:.1f}",
        network["reason"] or ", ".join(f"{name} {shorten(text)}" for name, text in values),
    )


def _draw_reliability(tenths: Sequence[dict[str, float]]) -> "Markup | str":
    if not tenths:
        return ""
    return charts.reliability(
        [(int(row["images"]), row["confidence"], row["accuracy"]) for row in tenths]
    )


def _draw_coverage(curve: Sequence[dict[str, float]]) -> "Markup | str":
    if not curve:
        return ""
    points = [(row["accepted"], row["wrong"]) for row in curve]
    return charts.lines({"wrong": points}, "share of wrong answers", "share of answers accepted")


def _by_split(history: Sequence[EpochMetrics], metric: str) -> dict[str, charts.Points]:
    return {
        split: [(epoch["epoch"], epoch[f"{split}_{metric}"]) for epoch in history]
        for split in ("train", "validation", "test")
        if f"{split}_{metric}" in history[0]
    }


def _facts(data: dict[str, Any], counts: Sequence[int]) -> list[tuple[str, str]]:
    left_out = "; ".join(data["left_out_such_as"])
    duplicates = ", ".join(data["learnt_and_judged_such_as"])
    unused = [
        f"{files:,} ({reason}), such as {', '.join(data['unused_such_as'].get(reason, []))}"
        for reason, files in data["unused"].items()
    ]
    return [
        *((split, f"{count:,} images") for split, count in data["images"].items()),
        ("a class, in train", f"{min(counts):,} to {max(counts):,} images"),
        (
            "left out as unreadable",
            f"{data['left_out']:,} images" + (f", such as {left_out}" if left_out else ""),
        ),
        *((("files that are not used", "; ".join(unused)),) if unused else ()),
        (
            "in both train and a held-out split",
            f"{data['learnt_and_judged']:,} images"
            + (f", such as {duplicates}" if duplicates else ""),
        ),
        ("fingerprint", data["fingerprint"]),
    ]


def _twin(dataset: Dataset, one: DataFinding) -> bytes | None:
    """The picture that this one is a copy of."""
    return _thumbnail(dataset, one.other) if one.finding in finding.OF_COPIES else None


def _thumbnail(dataset: Dataset, path: str) -> bytes:
    """As a JPEG."""
    body = read_regular(dataset.root / path, LARGEST_BYTES)
    return _jpeg(decode(body, MAX_PIXELS, THUMBNAIL).pixels)


def _jpeg(pixels: Pixels) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()
