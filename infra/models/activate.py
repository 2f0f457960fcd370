"""Make a packaged model the active one: upload the archive, create the SageMaker model, update the
endpoint if the stage has one, then move the pointer.

The pointer is moved last, and only if nobody else has moved it. Until then all results are by the
old model, afterwards by the new one. Activation is idempotent.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from aws import active_model
from aws.active_model import PointerMovedError, PreviousModel
from aws.errors import is_missing
from domain import keys, timestamps
from domain.archive import ArchiveError, read_model
from domain.errors import SortboxError
from domain.model import ActiveModel, ModelCard, ModelId
from infra import interrupt
from infra.models.endpoint import (
    EndpointError,
    EndpointFailedError,
    ModelContainer,
    delete_other_endpoints,
    ensure_endpoint,
    ensure_model,
)
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
    before, settings = active_model.read(s3, bucket), stage.endpoint_settings()
    name, mode = resource_name(stage, model, container), settings.endpoint
    environment = {"SORTBOX_MODEL_ID": str(model), "SORTBOX_CONTAINER": f"sha256:{container}"}
    runs = ModelContainer(image, f"s3://{bucket}/{keys.archive_key(model)}", environment)
    endpoint, now = stage.endpoint_names.get(mode), timestamps.to_text(datetime.now(UTC))
    active = ActiveModel(model, endpoint, name, now, mode)
    try:
        ensure_model(sagemaker, stage, name, runs)
        if mode == "instance":
            ensure_endpoint(sagemaker, stage, name, settings)
        elif mode == "serverless":
            served = resource_name(stage, model, container, settings.serverless)
            ensure_model(sagemaker, stage, served, replace(runs, is_isolated=False))
            ensure_endpoint(sagemaker, stage, served, settings)
        if before.active is None or not _is_same(before.active, active):
            active_model.move(s3, bucket, before, active, restores)
        delete_other_endpoints(sagemaker, stage, settings)
    except EndpointFailedError as error:
        raise FailedModelError(str(error)) from error
    except EndpointError as error:
        raise ActivationError(str(error)) from error
    except PointerMovedError as error:
        raise ActivationError(f"{error}; run this again") from error
    interrupt.leaves("endpoint", f"{model} is active.")
    return active


def _is_same(one: ActiveModel, other: ActiveModel) -> bool:
    """Whether both are the same but for their times."""
    return replace(one, activated_at=other.activated_at) == other


def follow_settings(
    stage: Stage,
    s3: "S3Client",
    sagemaker: "SageMakerClient",
    restore: Callable[[str], str] = str,
) -> ActiveModel | None:
    """Serve the active model as the stage's settings say now, which switches the mode if it has
    changed: the new endpoint first, then the pointer, then the old endpoint goes. None if no model
    is active. Idempotent; raises as `activate`.

    `restore` returns the image to serve by, for the one that the model was served by.
    """
    active = active_model.read(s3, stage.bucket).active
    if active is None:
        return None
    return serve(stage, s3, sagemaker, active.id, restore(image_of(sagemaker, active)))


def image_of(sagemaker: "SageMakerClient", active: ActiveModel) -> str:
    """The image that the model was served by. Raises ActivationError if SageMaker has forgotten."""
    name = active.sagemaker_model
    try:
        return sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["Image"]
    except ClientError as error:
        if not is_missing(error):
            raise
        raise ActivationError(
            f"SageMaker has no model {name} any more, which knew its image: give --image …@sha256:…"
        ) from error


def resource_name(stage: Stage, model: ModelId, container: str, settings: str = "") -> str:
    """The name of the SageMaker model and its endpoint configuration, at most 63 bytes.

    An existing resource of this name is reused, so the name must be unique to the model, the
    image and the `settings` of an endpoint that has any.
    """
    about = f"{model} {container} {settings}".rstrip()
    made_of = hashlib.sha256(about.encode()).hexdigest()[:12]
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
