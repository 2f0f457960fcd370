"""Evaluate a trained model and the active one on the same images; promote it unless it is worse.

Nothing is registered or changed before the evaluation. The pointer moves last; if the endpoint does
not come up, the version is marked as rejected and the old model stays active. The model that is
already active is not evaluated; its endpoint is created again if it is gone.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from aws import active_model
from domain import keys
from domain.errors import SortboxError
from domain.foreign import visible
from domain.model import ActiveModel, ModelCard, ModelId
from domain.scores.drift import make_histogram
from infra import interrupt
from infra.models import registry
from infra.models.activate import FailedModelError, read_card, serve
from infra.models.registry import RegistryEntry
from infra.stage import Stage
from training.config.errors import TrainingFailed
from training.data import dataset
from training.evaluation import archive as evaluate
from training.evaluation import promotion_gate
from training.evaluation.accuracy import Evaluation
from training.evaluation.archive import TestSet
from training.evaluation.promotion_gate import Compared, Comparison, NoActiveModel
from training.launch import candidate
from training.launch.candidate import Candidate
from training.launch.upload import OnProgress

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient

Log = Callable[[str], None]


class PromotionRefused(SortboxError):
    """The sentence says why the candidate is not promoted."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class PromotionContext:
    stage: Stage
    s3: "S3Client"
    sagemaker: "SageMakerClient"
    image_for: Callable[[ModelCard], str]
    """The image that serves a model, by digest. Raises where it is not built yet."""


@dataclass(frozen=True, slots=True)
class PromotionOptions:
    """The user's options."""

    replace_labels: bool = False
    override: str = ""
    """The reason for promoting a worse model."""


def promote(
    context: PromotionContext,
    proposed: Candidate,
    tests: TestSet,
    options: PromotionOptions,
    log: Log,
) -> ActiveModel:
    """Raises PromotionRefused, or ActivationError."""
    before = active_model.read(context.s3, context.stage.bucket).active
    card = read_card(proposed.archive)
    image = context.image_for(card)  # before minutes of evaluation, and before any upload
    if before is not None and before.id.digest == card.digest:
        log(f"{before.id} is this model; it is already active. Its endpoint is checked.")
        return serve(context.stage, context.s3, context.sagemaker, before.id, image)
    if unjudged := promotion_gate.unevaluated_precision(card):
        raise PromotionRefused(unjudged)
    card, evaluation = evaluate.evaluate(proposed.archive, tests)
    log(_accuracy(card, evaluation, len(tests.examples)))
    compared = _compare_with_active(context, card, evaluation, before, tests)
    log(promotion_gate.describe(compared))
    if refusal := promotion_gate.rejection(compared, options.replace_labels, options.override):
        raise PromotionRefused(refusal)
    metadata = promotion_gate.registry_metadata(compared, options.override)
    return _activate(context, card, image, evaluation, proposed, metadata)


def _accuracy(card: ModelCard, evaluation: Evaluation, images: int) -> str:
    """As it serves; and in fp32, as its training measured it, where that is something else."""
    sentence = f"{card.name} has accuracy {evaluation.accuracy:.4f} on {images:,} images"
    precision = card.openvino.precision if card.openvino else "fp32"
    in_fp32 = card.metrics.get("accuracy")
    if precision == "fp32" or in_fp32 is None:
        return f"{sentence}, as it serves, in {precision}."
    return f"{sentence}, as it serves, in {precision}; its training measured {in_fp32:.4f} in fp32."


def _compare_with_active(
    context: PromotionContext,
    card: ModelCard,
    evaluation: Evaluation,
    before: ActiveModel | None,
    tests: TestSet,
) -> Comparison:
    if before is None:
        return NoActiveModel()
    name = f"{before.id.name}:{before.id.version}"
    with tempfile.TemporaryDirectory(prefix="sortbox-") as scratch:
        archive = Path(scratch, "active.tar.gz")
        context.s3.download_file(context.stage.bucket, keys.archive_key(before.id), str(archive))
        if relabelled := promotion_gate.compare_labels(card, read_card(archive), name):
            return relabelled
        _, other = evaluate.evaluate(archive, tests)
    return Compared(name, other.accuracy, evaluate.compare(evaluation, other))


def _activate(
    context: PromotionContext,
    card: ModelCard,
    image: str,
    result: Evaluation,
    proposed: Candidate,
    metadata: dict[str, str],
) -> ActiveModel:
    bucket, nameless = context.stage.bucket, ModelId(card.name, 0, card.digest)
    archive, evaluation = keys.archive_key(nameless), keys.evaluation_key(nameless)
    context.s3.upload_file(str(proposed.archive), bucket, archive)
    scores = make_histogram(result.confidence.tolist())
    about = {"digest": card.digest, **result.metrics(), "scores": scores, **metadata}
    document = json.dumps(about, indent=1)
    context.s3.put_object(Bucket=bucket, Key=evaluation, Body=document.encode())
    metadata = metadata | {"accuracy": f"{result.accuracy:.6f}"}
    entry = RegistryEntry(card, image, f"s3://{bucket}/{archive}", f"s3://{bucket}/{evaluation}",
                  proposed.made_by, metadata)  # fmt: skip
    version = registry.register(context.stage, context.sagemaker, entry)
    model = ModelId(card.name, version.number, card.digest)
    interrupt.leaves("promotion", "The same command completes the promotion.")
    try:
        active = serve(context.stage, context.s3, context.sagemaker, model, image)
    except FailedModelError as error:  # after any other error the version stays pending
        registry.decide(context.sagemaker, version, "Rejected", str(error))
        raise
    registry.decide(context.sagemaker, version, "Approved", f"active since {active.activated_at}")
    interrupt.leaves("promotion", "")
    return active


@dataclass(frozen=True, slots=True)
class CandidateSource:
    """What to promote: a training job's model (the latest by default), or an archive, which is
    evaluated on `tests`, a folder of labelled images.
    """

    job: str | None = None
    archive: Path | None = None
    tests: Path | None = None


def _candidate(source: CandidateSource, context: PromotionContext, scratch: Path) -> Candidate:
    if source.archive:
        if not source.tests:
            raise TrainingFailed("An archive needs images for its evaluation: --tests FOLDER.")
        return Candidate(source.archive, source.archive.name, str(source.tests))
    job = source.job or candidate.latest_job(context.sagemaker, context.stage.prefix)
    return candidate.from_job(context.s3, context.sagemaker, job, scratch)


def run(
    stage: Stage,
    image_for: Callable[[ModelCard], str],
    source: CandidateSource,
    options: PromotionOptions,
    console: Console,
) -> ActiveModel:
    """Find the candidate and its test images, and promote it. Raises like `promote`."""

    def log(sentence: str) -> None:
        console.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)

    interrupt.leaves("promotion", "No model was promoted; the active one stays.")
    context = PromotionContext(stage, boto3.client("s3"), boto3.client("sagemaker"), image_for)
    with tempfile.TemporaryDirectory(prefix="sortbox-") as scratch:
        proposed = _candidate(source, context, Path(scratch))
        log(f"candidate: {proposed.made_by}")
        provenance = read_card(proposed.archive).provenance
        images = str(source.tests) if source.tests else proposed.data
        with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                      console=console) as progress:  # fmt: skip
            tests = candidate.load_test_set(context.s3, images, provenance, _progress_bar(progress))
        if tests.left_out:
            log(f"{len(tests.left_out):,} files are left out: {dataset.summarize(tests.left_out)}")
        return promote(context, proposed, tests, options, log)


def _progress_bar(progress: Progress) -> OnProgress:
    bar = progress.add_task("test images downloaded", total=None, visible=False)
    return lambda done, of: progress.update(bar, completed=done, total=of, visible=True)
