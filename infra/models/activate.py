"""Make a packaged model the active one: upload the archive, create the SageMaker model, update the
endpoint, then move the pointer.

The pointer is moved last, and only if nobody else has moved it. Until then all results are by the
old model, afterwards by the new one. Activation is idempotent.
"""

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from aws import active_model
from aws.active_model import PointerMovedError, PreviousModel
from domain import keys, timestamps
from domain.archive import ArchiveError, read_model
from domain.errors import SortboxError
from domain.model import ActiveModel, ModelCard, ModelId
from infra import interrupt
from infra.models.endpoint import EndpointError, EndpointFailedError, ensure_endpoint, ensure_model
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient


class ActivationError(SortboxError):
    """The model was not activated; the message is for the user."""


class FailedModelError(ActivationError):
    """The endpoint failed with the model, or was rolled back from it."""


def activate(
    stage: Stage, s3: "S3Client", sagemaker: "SageMakerClient", archive: Path, image: str
) -> ActiveModel:
    """Activate the model in `archive`. Raises ActivationError, without moving the pointer, if the
    endpoint does not come into service with it: FailedModelError if the model is the reason.
    """
    bucket = stage.bucket
    model = next_version(read_card(archive), active_model.read(s3, bucket).active)
    s3.upload_file(str(archive), bucket, keys.archive_key(model))
    return serve(stage, s3, sagemaker, model, image)


def serve(
    stage: Stage,
    s3: "S3Client",
    sagemaker: "SageMakerClient",
    model: ModelId,
    image: str,
    restores: PreviousModel | None = None,
) -> ActiveModel:
    """Activate a model whose archive is already in the bucket, with this image. Raises as
    `activate`.
    """
    bucket, container = stage.bucket, container_digest(image)
    before = active_model.read(s3, bucket)
    name = resource_name(stage, model, container)
    environment = {"SORTBOX_MODEL_ID": str(model), "SORTBOX_CONTAINER": f"sha256:{container}"}
    data = f"s3://{bucket}/{keys.archive_key(model)}"
    active = ActiveModel(model, stage.endpoint, name, timestamps.to_text(datetime.now(UTC)))
    try:
        ensure_model(sagemaker, stage, name, image, data, environment)
        ensure_endpoint(sagemaker, stage, name)
        if before.active is None or before.active.sagemaker_model != name:
            active_model.move(s3, bucket, before, active, restores)
    except EndpointFailedError as error:
        raise FailedModelError(str(error)) from error
    except EndpointError as error:
        raise ActivationError(str(error)) from error
    except PointerMovedError as error:
        raise ActivationError(f"{error}; run this again") from error
    interrupt.leaves("endpoint", f"{model} is active.")
    return active


def resource_name(stage: Stage, model: ModelId, container: str) -> str:
    """The name of the SageMaker model and its endpoint configuration, at most 63 bytes.

    An existing resource of this name is reused, so the name must be unique to the model and the
    image.
    """
    made_of = hashlib.sha256(f"{model} {container}".encode()).hexdigest()[:12]
    return f"{stage.endpoint}-{model.name[:20].rstrip('-')}-{model.version}-{made_of}"


def read_card(archive: Path) -> ModelCard:
    """Read the card of an archive and verify that the archive is complete. Raises
    ActivationError.
    """
    try:
        with archive.open("rb") as packed:
            return read_model(packed, archive.stat().st_size, lambda name, content: None)
    except (OSError, ArchiveError) as error:
        raise ActivationError(f"{archive} is not a model archive of Sortbox: {error}") from error


def container_digest(image: str) -> str:
    """The image's digest, 64 hex digits. Raises ActivationError for a tag, which does not identify
    the content.
    """
    _, separator, digest = image.partition("@sha256:")
    if not separator:
        raise ActivationError(f"name the image by its digest (…@sha256:…), not by a tag: {image}")
    return digest


def next_version(card: ModelCard, active: ActiveModel | None) -> ModelId:
    """The active version if the model is the same; otherwise the next number under the model's
    name.
    """
    if active is None or active.id.name != card.name:
        return ModelId(card.name, 1, card.digest)
    same = active.id.digest == card.digest
    return ModelId(card.name, active.id.version + (0 if same else 1), card.digest)


def activate_archive(stage: Stage, archive: Path, image: str, keep: bool) -> ActiveModel:
    """Activate `archive`. With `keep`, only make sure that the active model, if any, is served.

    Raises ActivationError.
    """
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    current = active_model.read(s3, stage.bucket).active if keep else None
    if current:
        return serve(stage, s3, sagemaker, current.id, image)
    return activate(stage, s3, sagemaker, archive, image)


if __name__ == "__main__":  # for other programs: STAGE ARCHIVE IMAGE
    try:
        activate_archive(Stage(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], keep=False)
    except SortboxError as error:
        sys.exit(str(error))
