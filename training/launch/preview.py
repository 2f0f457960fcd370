"""Show what would change if a trained model were promoted: its answers to a sample of the inbox.

The model is read by the confined process that evaluates candidates, with the preprocessing and the
engine that serve it. Nothing is registered, uploaded or changed.
"""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3
from rich.console import Console

from aws import active_model
from aws.bucket import Bucket
from domain import timestamps
from domain.errors import SortboxError
from domain.foreign import visible
from domain.keys import folder_prefix
from domain.model import ModelId
from domain.reply import Label
from functions.endpoint.thumbnails import Thumbnails
from infra import interrupt
from infra.models import preview
from infra.models.activate import read_card
from infra.models.preview import Sample
from infra.stage import Stage
from training.data import dataset
from training.data.dataset import Example
from training.evaluation import confined
from training.launch import candidate


class NothingToPreview(SortboxError):
    """There is no active model, or no image with a current answer by labels."""


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """The candidate is the model of `job` (the latest by default), or `archive`."""

    job: str | None = None
    archive: Path | None = None
    folder: str = ""
    images: int = 300


def run(stage: Stage, request: PreviewRequest, console: Console) -> Path:
    """The page. Raises NothingToPreview, TrainingFailed, ModelLoadError."""

    def log(sentence: str) -> None:
        console.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)

    interrupt.leaves("preview", "Nothing was changed.")
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    active = active_model.read(s3, stage.bucket).active
    if active is None:
        raise NothingToPreview("No model is active, so there are no answers to compare with.")
    with tempfile.TemporaryDirectory(prefix="sortbox-") as name:
        archive = request.archive
        if archive is None:
            job = request.job or candidate.latest_job(sagemaker, stage.prefix)
            archive = candidate.from_job(s3, sagemaker, job, Path(name)).archive
        card = read_card(archive)
        model = str(ModelId(card.name, 0, card.digest))
        log(f"candidate: {model}")
        images = Path(name, "images")
        images.mkdir()
        below = folder_prefix(request.folder)
        with console.status("downloading a sample of the inbox"):
            sample = preview.take_sample(Bucket(s3, stage.bucket), below, request.images, images)
        if not sample.answers:
            raise NothingToPreview(f"No image below {below} has a current answer by labels.")
        with console.status(f"classifying {len(sample.answers):,} images"):
            labels = _classify(archive, sample)
        if unreadable := labels.count(None):
            log(f"{unreadable:,} images cannot be read by this release, and are left out")
        changes = preview.compare(sample, model, labels, timestamps.to_text(datetime.now(UTC)))
        about = (
            f"{len(labels) - unreadable:,} images below {below}, chosen at random. Nothing has "
            f"changed: {active.id.name}:{active.id.version} is active."
        )
        runtime = boto3.client("sagemaker-runtime")
        thumbnails = Thumbnails(s3, stage.bucket, runtime, lambda: active)
        with console.status("drawing the page"):
            page = preview.write_page(model, about, changes, thumbnails.of)
    for sentence in preview.sentences(changes):
        log(sentence)
    return page


def _classify(archive: Path, sample: Sample) -> list[Label | None]:
    """The best label of each image; None for one that cannot be read. Raises PackageError,
    ModelLoadError.
    """
    card = read_card(archive)
    names = tuple(path.name for path in sample.files())
    no_class = card.labels[:1]  # the confined process wants one, and here nobody knows it
    examined = dataset.examine(sample.folder, {no_class[0]: names}, no_class, lambda: None)
    examples = [one for one in examined if isinstance(one, Example)]
    if not examples:
        raise NothingToPreview("No image of the sample can be read.")
    _, rows = confined.evaluate(archive, sample.folder, examples, no_class)
    labels = {
        example.path: Label(card.labels[int(best)], float(score))
        for example, (_, best, score, _) in zip(examples, rows, strict=True)
    }
    return [labels.get(name) for name in names]
