"""SageMaker's model registry: a group a model's name, a version a promotion."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws.errors import is_there_already
from domain.model import ModelCard
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sagemaker.literals import ModelApprovalStatusType

MAX_DESCRIPTION_CHARACTERS = 1024
MAX_METADATA_CHARACTERS = 256
"""Characters that the registry takes in a description, and in a value of metadata."""

CONTENT_TYPES = ("image/jpeg", "image/png", "application/x-image", "application/x-npy")


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    card: ModelCard
    image: str
    archive: str
    """s3:// of model.tar.gz, and of the evaluation beside it."""
    evaluation: str
    made_by: str
    """The training job's ARN, or the archive's name."""
    about: Mapping[str, str]
    """How it was judged, and beside what."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    arn: str
    number: int


def register(stage: Stage, sagemaker: "SageMakerClient", entry: RegistryEntry) -> ModelVersion:
    """A version that awaits approval; the registry counts."""
    group = f"{stage.prefix}{entry.card.name}".rstrip("-")  # which no group's name ends with
    _ensure_group(stage, sagemaker, group)
    provenance = entry.card.provenance
    lineage = {"digest": entry.card.digest, "dataset": provenance.get("dataset", ""),
               "architecture": entry.card.architecture, **entry.about}  # fmt: skip
    package = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription=f"{entry.card.name}, {len(entry.card.labels)} labels",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": entry.image, "ModelDataUrl": entry.archive}],
            "SupportedContentTypes": list(CONTENT_TYPES),
            "SupportedResponseMIMETypes": ["application/json"],
            "SupportedRealtimeInferenceInstanceTypes": [stage.endpoint_instance_type],
        },
        ModelMetrics={
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": entry.evaluation}
            }
        },
        MetadataProperties={
            "GeneratedBy": one_line(entry.made_by),
            "CommitId": provenance.get("code", "unknown"),
        },
        CustomerMetadataProperties={
            name: value for name, text in lineage.items() if (value := metadata(text))
        },
    )
    arn = package["ModelPackageArn"]
    return ModelVersion(arn, int(arn.rpartition("/")[2]))


def decide(
    sagemaker: "SageMakerClient", version: ModelVersion, status: "ModelApprovalStatusType", why: str
) -> None:
    sagemaker.update_model_package(
        ModelPackageArn=version.arn,
        ModelApprovalStatus=status,
        ApprovalDescription=one_line(why),
    )


def metadata(text: str) -> str:
    """What of `text` a value of metadata may hold, a space for each other character.

    The registry refuses a whole version for a comma, an apostrophe or a bracket. The text itself
    is in the evaluation beside the archive.
    """
    composed = unicodedata.normalize("NFC", text)
    taken = (character if _is_taken(character) else " " for character in composed)
    return "".join(taken).strip()[:MAX_METADATA_CHARACTERS]


def _is_taken(character: str) -> bool:
    return character in "_.:/=+-@" or unicodedata.category(character)[0] in "LZN"


def one_line(text: str) -> str:
    """As descriptions are held: the registry takes no line break in them."""
    return " ".join(text.split())[:MAX_DESCRIPTION_CHARACTERS]


def _ensure_group(stage: Stage, sagemaker: "SageMakerClient", group: str) -> None:
    try:
        sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=stage.tags)
    except ClientError as error:
        if not is_there_already(error):
            raise
