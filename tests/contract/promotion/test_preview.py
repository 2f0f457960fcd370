"""A preview answers as the server would: the same decoding, preprocessing and engine."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batch.outcome import Predicted
from domain.model import ModelId
from domain.reply import Label
from infra.models.preview import Sample, compare
from tests.support.builders.images import encoded, picture
from tests.support.worlds.serving_process import Serving
from training.launch.preview import _classify

IMAGES = 20  # more than one batch


@pytest.mark.slow
def test_a_preview_gives_the_server_s_labels(
    random_model: tuple[Path, ModelId], server: Serving, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0)
    answers = []
    for number in range(IMAGES):
        file = io.BytesIO()
        pixels = noise.integers(0, 256, (50 + number, 60, 3), np.uint8)
        Image.fromarray(pixels).save(file, "jpeg" if number % 2 else "png")
        (tmp_path / str(number)).write_bytes(file.getvalue())
        answers.append(Predicted(f"inbox/{number}", "e", (Label("cat", 0.5),), "m", "t"))
    sample = Sample(tuple(answers), tmp_path)
    served = [server.post(path.read_bytes()).json()["labels"][0] for path in sample.files()]
    previewed = _classify(random_model[0].parent / "model.tar.gz", sample)
    assert [one and one.label for one in previewed] == [one["label"] for one in served]
    differences = [
        abs(a.score - b["score"]) for a, b in zip(previewed, served, strict=True) if a is not None
    ]
    assert max(differences) < 0.01


@pytest.mark.slow
def test_an_image_that_cannot_be_read_here_is_left_out(
    random_model: tuple[Path, ModelId], tmp_path: Path
) -> None:
    """A container of another release, or of somebody else, has answered it: one such image ended
    the preview of three hundred.
    """
    for number, body in enumerate((encoded(picture(60, 50)), b"text", encoded(picture(50, 60)))):
        (tmp_path / str(number)).write_bytes(body)
    answer = Predicted("inbox/a", "e", (Label("cat", 0.5),), "m", "t")
    sample = Sample((answer,) * 3, tmp_path)
    labels = _classify(random_model[0].parent / "model.tar.gz", sample)
    assert [label is None for label in labels] == [False, True, False]
    assert compare(sample, "pets:0:sha256:1", labels, "now").renewed == 2
