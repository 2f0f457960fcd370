"""The engines in the real process: what each loads, and that they agree."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.model import ModelCard, ModelId, Promise
from domain.reply import Labelled, from_json
from tests.support.builders.images import encoded, picture
from tests.support.worlds.serving_process import ROOT, Serving, serving
from training.evaluation.archive import evaluate, read_test_set
from training.model.package import pack

MODULES = """
import json, os, sys
from serving.__main__ import load_classifier
from serving.settings import Settings
load_classifier(Settings.from_env(os.environ, processors=2)).close()
print(json.dumps(sorted(sys.modules)))
"""


def test_a_server_on_openvino_imports_neither_torch_nor_what_trains(
    random_model: tuple[Path, ModelId],
) -> None:
    folder, model = random_model
    told = {"SM_MODEL_DIR": str(folder), "SORTBOX_MODEL_ID": str(model), "SORTBOX_CONTAINER": "x"}
    done = subprocess.run(
        [sys.executable, "-c", MODULES],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **told},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {module.partition(".")[0] for module in json.loads(done.stdout)}
    assert "openvino" in loaded
    assert not loaded & {"torch", "torchvision", "safetensors", "nncf", "training"}


@pytest.mark.parametrize(("threshold", "decision"), [(0.0, "accepted"), (1.0, "unsure")])
def test_a_temperature_changes_scores_and_no_label(
    threshold: float,
    decision: str,
    server: Serving,
    random_model: tuple[Path, ModelId],
    tmp_path: Path,
) -> None:
    """By the server, and by the confined process that evaluates archives."""
    folder, _ = random_model
    card = ModelCard.from_json((folder / "card.json").read_text())
    card = replace(card, temperature=0.25, promise=Promise(0.05, threshold, 90, 1, 100))
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / "card.json").write_text(card.to_json())
    body = encoded(picture(300, 200))
    plain = from_json(server.post(body).content)
    model = ModelId(card.name, 1, card.digest)
    with serving(tmp_path / "model", model, tmp_path / "log") as calibrated:
        answer = from_json(calibrated.post(body).content)
    assert isinstance(plain, Labelled)
    assert isinstance(answer, Labelled)
    assert (plain.decision, answer.decision) == (None, decision)
    assert b"decision" not in server.post(body).content, "a model that promises nothing"
    assert [label.label for label in plain.labels] == [label.label for label in answer.labels]
    raised = np.array([label.score for label in plain.labels]) ** 4
    expected = raised / raised.sum()
    assert [label.score for label in answer.labels] == pytest.approx(expected, abs=1e-4)

    (tmp_path / "test" / "cat").mkdir(parents=True)
    (tmp_path / "test" / "cat" / "1.jpg").write_bytes(body)
    assert card.openvino
    files = {name: (folder / name).read_bytes() for name in card.openvino.files}
    weights = (folder / "weights.safetensors").read_bytes()
    pack(card, weights, tmp_path / "model.tar.gz", files)
    _, found = evaluate(tmp_path / "model.tar.gz", read_test_set(tmp_path / "test"))
    assert found.confidence[0] == pytest.approx(answer.labels[0].score, abs=1e-4)


@pytest.mark.slow
def test_both_engines_give_the_same_answer(
    server: Serving, random_model: tuple[Path, ModelId], tmp_path: Path
) -> None:
    body = encoded(picture(300, 200))
    with serving(*random_model, tmp_path / "log", SORTBOX_ENGINE="torch") as torch:
        by_torch = from_json(torch.post(body).content)
    by_openvino = from_json(server.post(body).content)
    assert isinstance(by_torch, Labelled)
    assert isinstance(by_openvino, Labelled)
    assert [label.label for label in by_torch.labels] == [
        label.label for label in by_openvino.labels
    ]
    for one, other in zip(by_torch.labels, by_openvino.labels, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-3)
