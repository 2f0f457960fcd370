"""Judge a trained model beside the active one on the same images; the better one answers.

Nothing is registered or changed before the judgement. The pointer moves last; where the endpoint
does not come up, the version is marked as rejected and the old model goes on. The model that is
active already is not judged; its endpoint is brought up again where it is gone.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from aws import active_model
from domain import keys
from domain.errors import SortboxError
from domain.foreign import visible
from domain.model import ActiveModel, ModelCard, ModelId
from infra.models import registry
from infra.models.activate import ActivationError, read_card, serve
from infra.models.registry import Entry
from infra.stage import Stage
from training.config.errors import TrainingFailed
from training.data import dataset
from training.evaluation import archive as evaluate
from training.evaluation import promotion_gate
from training.evaluation.accuracy import Judgement
from training.evaluation.archive import TestSet
from training.evaluation.promotion_gate import Compared, Comparison, First
from training.launch import candidate
from training.launch.candidate import Candidate
from training.launch.upload import Tick

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient

Say = Callable[[str], None]


class Refused(SortboxError):
    """The sentence says why the candidate is not promoted."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Cloud:
    stage: Stage
    s3: "S3Client"
    sagemaker: "SageMakerClient"
    image: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person may say beside what to promote."""

    replace_labels: bool = False
    override: str = ""
    """Why a worse model is wanted all the same."""


def promote(cloud: Cloud, wanted: Candidate, tests: TestSet, wish: Wish, say: Say) -> ActiveModel:
    """Raises Refused, or ActivationError."""
    before = active_model.read(cloud.s3, cloud.stage.bucket).active
    card = read_card(wanted.archive)
    if before is not None and before.id.digest == card.digest:
        say(f"{before.id} is this very model; it is active already. Its endpoint is checked.")
        return serve(cloud.stage, cloud.s3, cloud.sagemaker, before.id, cloud.image)
    if unjudged := promotion_gate.unjudged(card):
        raise Refused(unjudged)
    card, found = evaluate.evaluate(wanted.archive, tests)
    say(f"{card.name} has accuracy {found.accuracy:.4f} on {len(tests.examples)} images.")
    compared = _compared(cloud, card, found, before, tests)
    say(promotion_gate.told(compared))
    if refusal := promotion_gate.refusal(compared, wish.replace_labels, wish.override):
        raise Refused(refusal)
    return _activate(cloud, card, found, wanted, promotion_gate.recorded(compared, wish.override))


def _compared(
    cloud: Cloud,
    card: ModelCard,
    found: Judgement,
    before: ActiveModel | None,
    tests: TestSet,
) -> Comparison:
    if before is None:
        return First()
    name = f"{before.id.name}:{before.id.version}"
    with tempfile.TemporaryDirectory(prefix="sortbox-") as scratch:
        archive = Path(scratch, "active.tar.gz")
        cloud.s3.download_file(cloud.stage.bucket, keys.archive_key(before.id), str(archive))
        if relabelled := promotion_gate.relabelled(card, read_card(archive), name):
            return relabelled
        _, other = evaluate.evaluate(archive, tests)
    return Compared(name, other.accuracy, evaluate.compare(found, other))


def _activate(
    cloud: Cloud, card: ModelCard, found: Judgement, wanted: Candidate, about: dict[str, str]
) -> ActiveModel:
    bucket, nameless = cloud.stage.bucket, ModelId(card.name, 0, card.digest)
    archive, evaluation = keys.archive_key(nameless), keys.evaluation_key(nameless)
    cloud.s3.upload_file(str(wanted.archive), bucket, archive)
    judged = json.dumps({"digest": card.digest, **found.metrics(), **about}, indent=1)
    cloud.s3.put_object(Bucket=bucket, Key=evaluation, Body=judged.encode())
    about = about | {"accuracy": f"{found.accuracy:.6f}"}
    entry = Entry(card, cloud.image, f"s3://{bucket}/{archive}", f"s3://{bucket}/{evaluation}",
                  wanted.made_by, about)  # fmt: skip
    version = registry.register(cloud.stage, cloud.sagemaker, entry)
    model = ModelId(card.name, version.number, card.digest)
    try:
        active = serve(cloud.stage, cloud.s3, cloud.sagemaker, model, cloud.image)
    except (ActivationError, BotoCoreError, ClientError) as error:
        registry.decide(cloud.sagemaker, version, "Rejected", str(error))
        raise
    registry.decide(cloud.sagemaker, version, "Approved", f"active since {active.activated_at}")
    return active


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be promoted: a training job's model (the latest where none is named), or an
    archive, which is judged on `tests`, a folder of labelled images.
    """

    job: str | None = None
    archive: Path | None = None
    tests: Path | None = None


def _candidate(source: Source, cloud: Cloud, scratch: Path) -> Candidate:
    if source.archive:
        if not source.tests:
            raise TrainingFailed("An archive needs images to be judged on: --tests FOLDER.")
        return Candidate(source.archive, source.archive.name, str(source.tests))
    job = source.job or candidate.latest_job(cloud.sagemaker, cloud.stage.prefix)
    return candidate.of_job(cloud.s3, cloud.sagemaker, job, scratch)


def run(stage: Stage, image: str, source: Source, wish: Wish, console: Console) -> ActiveModel:
    """Find the candidate and its test images, and promote. Raises as `promote` does."""

    def say(sentence: str) -> None:
        console.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)

    cloud = Cloud(stage, boto3.client("s3"), boto3.client("sagemaker"), image)
    with tempfile.TemporaryDirectory(prefix="sortbox-") as scratch:
        wanted = _candidate(source, cloud, Path(scratch))
        say(f"candidate: {wanted.made_by}")
        provenance = read_card(wanted.archive).provenance
        images = str(source.tests) if source.tests else wanted.data
        with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                      console=console) as progress:  # fmt: skip
            tests = candidate.tests_of(cloud.s3, images, provenance, _bar(progress))
        if tests.left_out:
            say(f"{len(tests.left_out):,} files are left out: {dataset.some(tests.left_out)}")
        return promote(cloud, wanted, tests, wish, say)


def _bar(progress: Progress) -> Tick:
    bar = progress.add_task("test images fetched", total=None, visible=False)
    return lambda done, of: progress.update(bar, completed=done, total=of, visible=True)
