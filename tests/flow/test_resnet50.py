"""ResNet-50 from a channel of weights to answers, by the commands and the SDK, without a network.

The weights are random: what is shown is that every part takes this network with these many classes.
"""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infra.local import cloud as local
from tests.flow.conftest import STAND_IN, Activate, archive
from tests.flow.support.drive import Cloud
from tests.flow.support.person import Person

pytestmark = pytest.mark.models

SIDE = 224
SPLITS = {"train": range(6), "valid": range(6, 8), "test": range(8, 10)}


def picture(label: int, number: int) -> bytes:
    """A colour of the label's own under noise, as PNG, which keeps every pixel."""
    colour = np.random.default_rng(label).integers(40, 215, 3)
    noise = np.random.default_rng((label, number)).integers(-30, 30, (SIDE, SIDE, 3))
    buffer = io.BytesIO()
    Image.fromarray((colour + noise).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def dog_images(root: Path, classes: int) -> list[str]:
    """`train`, `valid` and `test`, as the dog breeds come."""
    labels = [f"{number + 1:03}.Breed_{number + 1}" for number in range(classes)]
    for split, numbers in SPLITS.items():
        for label, name in enumerate(labels):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in numbers:
                (folder / f"{number}.png").write_bytes(picture(label, number))
    return labels


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As torchvision's download would lie there: a thousand classes, pickled.

    Its blocks add nothing yet, so that features are of ordinary size.
    """
    import torch
    from torchvision.models import resnet50

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet50-random.pth"
    torch.save(resnet50(zero_init_residual=True).state_dict(), path)
    return path


@pytest.mark.parametrize("classes", [3, 32, 64])
def test_resnet50_is_trained_promoted_and_answers_like_its_endpoint(
    classes: int,
    running: local.LocalCloud,
    cloud: Cloud,
    weights: Path,
    activate: Activate,
    tmp_path: Path,
) -> None:
    person = Person(running, tmp_path)
    labels = dog_images(tmp_path / "DogImages", classes)
    told = ["--name=dogs", "--arch=resnet50", f"--weights={weights}", "--epochs=1"]
    trained = person.trains(tmp_path / "DogImages", *told, "--batch-size=32", "--lr=0.001")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    promoted = person.promotes("--replace-labels")
    assert promoted.returncode == 0, promoted.stdout + promoted.stderr

    body = picture(1, 10)
    key = f"inbox/of {classes}.png"
    answer = cloud.answered(key, cloud.drop(key, body))
    assert answer.by is not None
    assert str(answer.by.model).startswith("dogs:")
    (tmp_path / "image.png").write_bytes(body)
    said = json.loads(
        person.asks(ASK.format(photo=tmp_path / "image.png", endpoint=f"sortbox-{running.stage}"))
    )
    assert said == cloud.label(key)
    assert said in labels
    activate(archive(tmp_path / "stand-in.tar.gz", "stand-in"), STAND_IN)


ASK = """
import json
import numpy as np
from PIL import Image
from training.launch.predictor import Predictor

image = np.asarray(Image.open("{photo}"))
print(json.dumps(Predictor("{endpoint}").predict(image).labels[0].label))
"""
