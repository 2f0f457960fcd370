"""What a promotion does beside the judgement, whose rules have tests of their own."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aws import active_model
from domain.model import Compiled, ModelCard, ModelId, Precision, Preprocessing
from infra.models.activate import ActivationError, serve
from infra.stacks.image import ImageError
from tests.support.fakes.aws import FakeS3
from tests.support.worlds.activation import Endpoint, Here, remove
from training.evaluation.accuracy import Evaluation
from training.evaluation.archive import TestSet
from training.launch.candidate import Candidate
from training.launch.promote import (
    PromotionContext,
    PromotionOptions,
    _accuracy,
    _activate,
    promote,
)
from training.model.package import pack

IMAGE = f"image@sha256:{7:064x}"
WEIGHTS = b"never looked into"
CARD = ModelCard(
    name="pets",
    architecture="resnet50",
    labels=("cat", "dog"),
    preprocessing=Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    weights_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
)
NO_IMAGES = TestSet(Path(), (), (), ())


def test_promoting_the_active_model_brings_its_endpoint_back(tmp_path: Path) -> None:
    """`remove`, `deploy`, `promote`: the pointer is in the bucket, which is kept."""
    s3: Any = FakeS3()
    endpoint = Endpoint()
    sagemaker: Any = endpoint
    archive = tmp_path / "model.tar.gz"
    pack(CARD, WEIGHTS, archive)
    cloud = PromotionContext(Here("test"), s3, sagemaker, lambda card: IMAGE)
    active = serve(cloud.stage, s3, sagemaker, ModelId("pets", 1, CARD.digest), IMAGE)
    made = set(endpoint.made)
    remove(endpoint)
    said: list[str] = []
    proposed = Candidate(archive, "model.tar.gz", "photos")
    assert promote(cloud, proposed, NO_IMAGES, PromotionOptions(), said.append).id == active.id
    assert endpoint.made == made, "model, configuration and endpoint, or nothing answers"
    assert "already active" in said[0]
    assert active_model.read(s3, "bucket").active == active, "the pointer stays"


def test_an_image_that_is_not_built_ends_it_before_anything_is_uploaded(tmp_path: Path) -> None:
    """Evaluation takes minutes, and what is uploaded and registered by then stays."""
    s3: Any = FakeS3()
    endpoint = Endpoint()
    sagemaker: Any = endpoint
    archive = tmp_path / "model.tar.gz"
    pack(CARD, WEIGHTS, archive)

    def missing(card: ModelCard) -> str:
        assert card.digest == CARD.digest, "by the candidate's own card"
        raise ImageError("no image yet; `./sortbox image` builds it")

    cloud = PromotionContext(Here("test"), s3, sagemaker, missing)
    proposed = Candidate(archive, "model.tar.gz", "photos")
    said: list[str] = []
    with pytest.raises(ImageError, match="builds it"):
        promote(cloud, proposed, NO_IMAGES, PromotionOptions(), said.append)
    assert not s3.objects
    assert not endpoint.made
    assert not said, "nothing was evaluated"


class Registry(Endpoint):
    """An endpoint, and the registry as far as the status of one version goes."""

    version_status = ""

    def create_model_package_group(self, **_: Any) -> None:
        pass

    def create_model_package(self, *, ModelApprovalStatus: str, **_: Any) -> dict[str, Any]:
        self.version_status = ModelApprovalStatus
        return {"ModelPackageArn": "arn:aws:sagemaker:x:1:model-package/sortbox-test-pets/2"}

    def update_model_package(self, *, ModelApprovalStatus: str, **_: Any) -> None:
        self.version_status = ModelApprovalStatus


QUOTA = "The account-level service limit 'ml.m5.xlarge for endpoint usage' is 1 Instances"


@pytest.mark.parametrize(
    ("refusal", "status"), [(None, "Rejected"), (QUOTA, "PendingManualApproval")]
)
def test_only_what_speaks_against_the_model_rejects_its_version(
    tmp_path: Path, refusal: str | None, status: str
) -> None:
    """A quota is no reason to reject a model: the next promotion may activate it."""
    s3: Any = FakeS3()
    registry = Registry()
    sagemaker: Any = registry
    archive = tmp_path / "model.tar.gz"
    pack(CARD, WEIGHTS, archive)
    cloud = PromotionContext(Here("test"), s3, sagemaker, lambda card: IMAGE)
    serve(cloud.stage, s3, sagemaker, ModelId("pets", 1, CARD.digest), IMAGE)
    before = registry.config
    registry.comes_up = lambda: setattr(registry, "config", before)  # it is rolled back
    registry.refusal = refusal
    one = np.ones(1, np.float32)
    right = Evaluation(np.zeros(1, np.int64), np.zeros(1, np.int64), one, one)
    proposed = Candidate(archive, "model.tar.gz", "photos")
    with pytest.raises(ActivationError):
        _activate(cloud, CARD, IMAGE, right, proposed, {})
    assert registry.version_status == status


@pytest.mark.parametrize(
    ("precision", "sentence"),
    [
        ("int8", "as it serves, in int8; its training measured 0.9000 in fp32."),
        ("fp32", "as it serves, in fp32."),
        (None, "as it serves, in fp32."),
    ],
    ids=["int8", "fp32", "PyTorch"],
)
def test_the_accuracy_names_the_precision_that_serves(
    precision: Precision | None, sentence: str
) -> None:
    compiled = None if precision is None else Compiled(precision, {}, ())
    card = replace(CARD, metrics={"accuracy": 0.9}, openvino=compiled)
    rows = np.array([0, 1, 1, 0])
    ones = np.ones(4, np.float32)
    evaluation = Evaluation(rows, np.array([0, 1, 1, 1]), ones, ones)
    assert _accuracy(card, evaluation, 4) == f"pets has accuracy 0.7500 on 4 images, {sentence}"
