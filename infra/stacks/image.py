"""The container image on AWS: find the image of these sources, or build it with CodeBuild.

Its tag is the digest of its build context, so that the same sources are built once. Everything else
refers to the image by its own digest, which is printed.
"""

import hashlib
import io
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from aws.errors import is_limit, is_missing, is_unchanged
from domain.container import is_in_container
from domain.errors import SortboxError
from infra import interrupt, quotas, shipped
from infra.shipped import Variant
from infra.stacks.deploy import DeployError, updatable_status, wait_for
from infra.stage import NO_KEY, Stage

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import ParameterTypeDef
    from types_boto3_codebuild import CodeBuildClient
    from types_boto3_ecr import ECRClient

REPOSITORY = "sortbox"
STACK = "sortbox-image"
TEMPLATE = shipped.REPOSITORY / "infra" / "stacks" / "image.yml"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
"""Docker manifest schema 2, the image format that SageMaker accepts."""

POLL_SECONDS = 10
EPOCH = (1980, 1, 1, 0, 0, 0)


class ImageError(SortboxError):
    """The image is missing or cannot be built; the message is for the user."""


def context(variant: Variant, repository: Path = shipped.REPOSITORY) -> bytes:
    """The variant's build context as a zip; the same sources give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(_sources(variant, repository)):
            entry = zipfile.ZipInfo(path.relative_to(repository).as_posix(), EPOCH)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def _sources(variant: Variant, repository: Path) -> Iterator[Path]:
    for package in shipped.image_packages(variant):
        for path in (repository / package).rglob("*.*"):
            if is_in_container(path.relative_to(repository).as_posix()):
                yield path
    yield from (repository / name for name in shipped.image_files(variant))


def tag(sources: bytes, variant: Variant) -> str:
    return f"{variant}-{hashlib.sha256(sources).hexdigest()[:12]}"


def find(ecr: "ECRClient", name: str) -> str | None:
    """The image's URI with its digest; None if the tag or the repository does not exist.

    Raises ImageError for an image that SageMaker cannot run: for an OCI manifest it fails with
    "Unsupported manifest media type" (aws/amazon-sagemaker-feedback, 180).
    """
    try:
        description = ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": name}])
        repository = ecr.describe_repositories(repositoryNames=[REPOSITORY])["repositories"][0]
    except ClientError as error:
        if not is_missing(error):
            raise
        return None
    [details] = description["imageDetails"]
    uri = f"{repository['repositoryUri']}@{details['imageDigest']}"
    manifest = details.get("imageManifestMediaType", DOCKER_MANIFEST)
    if manifest != DOCKER_MANIFEST:
        raise ImageError(
            f"{uri} has a manifest of type {manifest}, which SageMaker refuses: the Docker that "
            "built it writes OCI's. Name another build image in infra/stacks/image.yml, delete "
            f"this one with `aws ecr batch-delete-image --repository-name {REPOSITORY} --image-ids "
            f"imageTag={name}`, and build it again."
        )
    return uri


def build(stage: Stage, variant: Variant, sources: bytes) -> None:
    """Build the variant with CodeBuild and wait for it. Raises ImageError or DeployError."""
    deploy_stack(boto3.client("cloudformation"), stage.kms_key() or NO_KEY)
    name = tag(sources, variant)
    key = f"deploy/image/{name}.zip"
    boto3.client("s3").put_object(Bucket=stage.bucket, Key=key, Body=sources)
    codebuild = boto3.client("codebuild")
    started = start_build(codebuild, f"{stage.bucket}/{key}", variant, name)
    interrupt.leaves(
        "build",
        f"CodeBuild goes on with {started}. When it has ended, the same command finds the image. "
        f"To end it: `aws codebuild stop-build --id {started}`.",
    )
    _follow(codebuild, started)
    interrupt.leaves("build", "")


def start_build(codebuild: "CodeBuildClient", sources: str, variant: Variant, name: str) -> str:
    """Start a build; returns its id. `sources` is the bucket/key of the zip. Raises ImageError if
    the quota of builds is 0.
    """
    try:
        started = codebuild.start_build(
            projectName=STACK,
            sourceTypeOverride="S3",
            sourceLocationOverride=sources,
            environmentVariablesOverride=[
                {"name": "VARIANT", "value": variant},
                {"name": "TAG", "value": name},
            ],
        )
    except ClientError as error:
        if not is_limit(error):
            raise
        raise ImageError(quotas.refusal(error)) from error
    return str(started["build"]["id"])


def deploy_stack(cloudformation: "CloudFormationClient", key: str) -> None:
    """Deploy the repository and the CodeBuild project; idempotent. Raises DeployError.

    `key` is the stage's KMS key, or `none`. An existing repository keeps the key it was created
    with.
    """
    template = TEMPLATE.read_text()
    if updatable_status(cloudformation, STACK) is None:
        cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=template,
            Parameters=_parameters(key, key),
            Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": "app", "Value": "sortbox"}],
        )
        wait_for(cloudformation, "stack_create_complete", STACK)
        return
    [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    current = {
        parameter["ParameterKey"]: parameter["ParameterValue"]
        for parameter in stack.get("Parameters", [])
    }
    try:
        cloudformation.update_stack(
            StackName=STACK,
            TemplateBody=template,
            Parameters=_parameters(key, current.get("RepositoryKey", NO_KEY)),
            Capabilities=["CAPABILITY_IAM"],
        )
    except ClientError as error:
        if not is_unchanged(error):
            raise DeployError(f"{STACK}: {error}") from error
        return
    wait_for(cloudformation, "stack_update_complete", STACK)


def _parameters(sources: str, repository: str) -> "list[ParameterTypeDef]":
    return [
        {"ParameterKey": "SourcesKey", "ParameterValue": sources},
        {"ParameterKey": "RepositoryKey", "ParameterValue": repository},
    ]


def _follow(codebuild: "CodeBuildClient", build: str) -> None:
    phase = ""
    while True:
        [status] = codebuild.batch_get_builds(ids=[build])["builds"]
        if status["currentPhase"] != phase:
            phase = status["currentPhase"]
            print(f"{build}: {phase}", file=sys.stderr, flush=True)
        if status["buildComplete"]:
            break
        time.sleep(POLL_SECONDS)
    if status["buildStatus"] != "SUCCEEDED":
        link = status.get("logs", {}).get("deepLink", "in CodeBuild")
        raise ImageError(f"{build} ended as {status['buildStatus']}; its log is {link}")


def current(stage: Stage, variant: Variant, build_missing: bool = False) -> str:
    """The URI, by digest, of the variant's image of these sources. Raises ImageError, DeployError.

    With `build_missing`, a missing image is built, which takes minutes.
    """
    sources = context(variant)
    ecr, name = boto3.client("ecr"), tag(sources, variant)
    if build_missing and find(ecr, name) is None:
        build(stage, variant, sources)
    uri = find(ecr, name)
    if uri is None:
        raise ImageError(
            f"These sources have no image {REPOSITORY}:{name} yet. "
            f"`./sortbox image --stage {stage.name} --variant {variant}` builds it."
        )
    return uri
