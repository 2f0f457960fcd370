"""Make a packaged model the active one: archive to S3, SageMaker model, endpoint, then the pointer.

The pointer moves last, and only if nobody moved it meanwhile: until then every answer is by the old
model, from then on by the new one. Doing it twice is doing it once.
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
from infra.models.endpoint import EndpointError, ensure_endpoint, ensure_model
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient


class ActivationError(SortboxError):
    """A sentence for the person who wanted the model to be active."""


def activate(
    stage: Stage, s3: "S3Client", sagemaker: "SageMakerClient", archive: Path, image: str
) -> ActiveModel:
    """Raises ActivationError, the pointer unmoved, if the endpoint does not come up with it."""
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
    """Bring a model whose archive is in the bucket up with this image; as `activate` otherwise."""
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
    except EndpointError as error:
        raise ActivationError(str(error)) from error
    except PointerMovedError as error:
        raise ActivationError(f"{error}; run this again") from error
    return active


def resource_name(stage: Stage, model: ModelId, container: str) -> str:
    """Of the SageMaker model and its endpoint configuration: what they are made of, in 63 bytes.

    An existing one of this name is taken as it is, so the name must tell any two apart.
    """
    made_of = hashlib.sha256(f"{model} {container}".encode()).hexdigest()[:12]
    return f"{stage.endpoint}-{model.name[:20].rstrip('-')}-{model.version}-{made_of}"


def read_card(archive: Path) -> ModelCard:
    """Of an archive that is a model's as a whole. Raises ActivationError."""
    try:
        with archive.open("rb") as packed:
            return read_model(packed, archive.stat().st_size, lambda name, content: None)
    except (OSError, ArchiveError) as error:
        raise ActivationError(f"{archive} is not a model archive of Sortbox: {error}") from error


def container_digest(image: str) -> str:
    """The image's digest, 64 hex digits: what serves is named by its content, never by a tag."""
    _, separator, digest = image.partition("@sha256:")
    if not separator:
        raise ActivationError(f"name the image by its digest (…@sha256:…), not by a tag: {image}")
    return digest


def next_version(card: ModelCard, active: ActiveModel | None) -> ModelId:
    """The same model keeps its version; another one under the same name counts on."""
    if active is None or active.id.name != card.name:
        return ModelId(card.name, 1, card.digest)
    same = active.id.digest == card.digest
    return ModelId(card.name, active.id.version + (0 if same else 1), card.digest)


def activate_archive(stage: Stage, archive: Path, image: str, keep: bool) -> ActiveModel:
    """Activate `archive`; with `keep`, only make sure that the active model is served, if any is.

    Raises ActivationError.
    """
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    current = active_model.read(s3, stage.bucket).active if keep else None
    if current:
        return serve(stage, s3, sagemaker, current.id, image)
    return activate(stage, s3, sagemaker, archive, image)


if __name__ == "__main__":  # for programs: STAGE ARCHIVE IMAGE
    try:
        activate_archive(Stage(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], keep=False)
    except SortboxError as error:
        sys.exit(str(error))
