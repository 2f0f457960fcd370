"""The engines in the real process: what each loads, and that they agree."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.model import ModelId
from domain.reply import Labelled, from_json
from tests.support.builders.images import encoded, picture
from tests.support.worlds.serving_process import ROOT, Serving, serving

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
