"""Make a packaged model the active one: archive to S3, SageMaker model, endpoint, then the pointer.

`python -m infra.activate --stage dev --archive model.tar.gz --image <uri>@sha256:<digest>`

The pointer moves last, and only if nobody moved it meanwhile: until then every answer is by the old
model, from then on by the new one. Doing it twice is doing it once.
"""

import argparse
import hashlib
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError, WaiterError

from domain import keys
from domain.model import ActiveModel, ModelCard, ModelId
from infra.stage import Stage, StageError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient

CARD_BYTES = 1 << 20
LOOK_SECONDS = 2
PATIENCE_SECONDS = 1800


class ActivationError(Exception):
    """A sentence for the person who wanted the model to be active."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """`models/active.json` as it was read; `etag` is None where there is none yet."""

    active: ActiveModel | None
    etag: str | None


def activate(
    stage: Stage, s3: "S3Client", sagemaker: "SageMakerClient", archive: Path, image: str
) -> ActiveModel:
    """Raises ActivationError, the pointer unmoved, if the endpoint does not come up with it."""
    bucket = stage.bucket
    model = next_version(read_card(archive), read_pointer(s3, bucket).active)
    s3.upload_file(str(archive), bucket, keys.archive_key(model))
    return serve(stage, s3, sagemaker, model, image)


def serve(
    stage: Stage, s3: "S3Client", sagemaker: "SageMakerClient", model: ModelId, image: str
) -> ActiveModel:
    """Bring a model whose archive is in the bucket up with this image; as `activate` otherwise."""
    bucket, container = stage.bucket, container_digest(image)
    pointer = read_pointer(s3, bucket)
    name = resource_name(stage, model, container)
    environment = {"SORTBOX_MODEL_ID": str(model), "SORTBOX_CONTAINER": f"sha256:{container}"}
    data = f"s3://{bucket}/{keys.archive_key(model)}"
    _ensure_model(sagemaker, stage, name, image, data, environment)
    _ensure_endpoint(sagemaker, stage, name)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    active = ActiveModel(model, stage.endpoint, name, now)
    if pointer.active is None or pointer.active.sagemaker_model != name:
        _move(s3, bucket, active, pointer)
    return active


def resource_name(stage: Stage, model: ModelId, container: str) -> str:
    """Of the SageMaker model and its endpoint configuration: what they are made of, in 63 bytes.

    An existing one of this name is taken as it is, so the name must tell any two apart.
    """
    made_of = hashlib.sha256(f"{model} {container}".encode()).hexdigest()[:12]
    return f"{stage.endpoint}-{model.name[:20].rstrip('-')}-{model.version}-{made_of}"


def read_card(archive: Path) -> ModelCard:
    try:
        with tarfile.open(archive) as tar:
            member = tar.getmember("card.json")
            content = tar.extractfile(member)
            if content is None or member.size > CARD_BYTES:
                raise ActivationError(f"card.json in {archive} is not a small regular file")
            return ModelCard.from_json(content.read().decode())
    except (OSError, KeyError, ValueError, TypeError, tarfile.TarError) as error:
        raise ActivationError(f"{archive} is not a model archive of Sortbox: {error}") from error


def container_digest(image: str) -> str:
    """The image's digest, 64 hex digits: what serves is named by its content, never by a tag."""
    _, found, digest = image.partition("@sha256:")
    if not found:
        raise ActivationError(f"name the image by its digest (…@sha256:…), not by a tag: {image}")
    return digest


def next_version(card: ModelCard, active: ActiveModel | None) -> ModelId:
    """The same model keeps its version; another one under the same name counts on."""
    if active is None or active.id.name != card.name:
        return ModelId(card.name, 1, card.digest)
    same = active.id.digest == card.digest
    return ModelId(card.name, active.id.version + (0 if same else 1), card.digest)


def read_pointer(s3: "S3Client", bucket: str) -> Pointer:
    try:
        found = s3.get_object(Bucket=bucket, Key=keys.ACTIVE_MODEL)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        return Pointer(None, None)
    return Pointer(ActiveModel.from_json(found["Body"].read()), found["ETag"])


def _move(s3: "S3Client", bucket: str, active: ActiveModel, pointer: Pointer) -> None:
    body, kind = active.to_json().encode(), "application/json"
    try:
        if pointer.etag is None:
            s3.put_object(
                Bucket=bucket, Key=keys.ACTIVE_MODEL, Body=body, ContentType=kind, IfNoneMatch="*"
            )
        else:
            s3.put_object(
                Bucket=bucket,
                Key=keys.ACTIVE_MODEL,
                Body=body,
                ContentType=kind,
                IfMatch=pointer.etag,
            )
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "NoSuchKey"):
            raise
        raise ActivationError("somebody else activated a model meanwhile; run this again") from None


def _ensure_model(
    sagemaker: "SageMakerClient",
    stage: Stage,
    name: str,
    image: str,
    data: str,
    environment: dict[str, str],
) -> None:
    if _exists(lambda: sagemaker.describe_model(ModelName=name)):
        return
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": image, "ModelDataUrl": data, "Environment": environment},
        ExecutionRoleArn=stage.model_role(),
        Tags=stage.tags,
    )


def _ensure_endpoint(sagemaker: "SageMakerClient", stage: Stage, config: str) -> None:
    if not _exists(lambda: sagemaker.describe_endpoint_config(EndpointConfigName=config)):
        sagemaker.create_endpoint_config(
            EndpointConfigName=config,
            ProductionVariants=[
                {
                    "VariantName": "active",
                    "ModelName": config,
                    "InstanceType": stage.endpoint_instance_type,
                    "InitialInstanceCount": 1,
                }
            ],
            Tags=stage.tags,
        )
    name = stage.endpoint
    if not _exists(lambda: sagemaker.describe_endpoint(EndpointName=name)):
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=stage.tags)
    elif sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] != config:
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    _wait(sagemaker, name, config)


def _wait(sagemaker: "SageMakerClient", endpoint: str, config: str) -> None:
    """In service with this very configuration: a roll-back ends in service too."""
    try:
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=endpoint,
            WaiterConfig={"Delay": LOOK_SECONDS, "MaxAttempts": PATIENCE_SECONDS // LOOK_SECONDS},
        )
    except WaiterError as error:
        reason = error.last_response.get("FailureReason", str(error))
        raise ActivationError(f"endpoint {endpoint} did not come into service: {reason}") from error
    found = sagemaker.describe_endpoint(EndpointName=endpoint)
    if found["EndpointConfigName"] != config:
        reason = found.get("FailureReason", "it was rolled back")
        raise ActivationError(f"endpoint {endpoint} still runs the model before: {reason}")


def _exists(describe: Callable[[], object]) -> bool:
    """SageMaker says "Could not find" under the code of a bad request."""
    try:
        describe()
    except ClientError as error:
        if "Could not find" not in error.response["Error"]["Message"]:
            raise
        return False
    return True


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.activate", description=__doc__)
    parser.add_argument("--stage", required=True)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--keep", action="store_true", help="if a model is active, keep that one")
    given = parser.parse_args(arguments)
    try:
        stage, s3, sagemaker = Stage(given.stage), boto3.client("s3"), boto3.client("sagemaker")
        kept = read_pointer(s3, stage.bucket).active if given.keep else None
        if kept:
            active = serve(stage, s3, sagemaker, kept.id, given.image)
        else:
            active = activate(stage, s3, sagemaker, given.archive, given.image)
    except (ActivationError, StageError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"active: {active.id}\nendpoint: {active.endpoint}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
