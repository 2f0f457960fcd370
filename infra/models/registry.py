"""SageMaker's model registry: one group per model name, one version per promotion."""

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
"""The registry's limit for a description and for a value of metadata."""

CONTENT_TYPES = (
    *("image/jpeg", "image/png", "application/x-image", "application/x-npy"),
    *("application/octet-stream", "binary/octet-stream"),
)
ANSWER_TYPES = ("application/json", "application/x-npy")


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    card: ModelCard
    image: str
    archive: str
    """The s3:// URI of model.tar.gz; the evaluation is beside it."""
    evaluation: str
    made_by: str
    """The training job's ARN, or the archive's name."""
    about: Mapping[str, str]
    """How the model was evaluated, and the model that it was compared with."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    arn: str
    number: int


def register(stage: Stage, sagemaker: "SageMakerClient", entry: RegistryEntry) -> ModelVersion:
    """Register a version that awaits approval; the registry assigns its number."""
    group = f"{stage.prefix}{entry.card.name}".rstrip("-")  # no name may end with a hyphen
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
            "SupportedResponseMIMETypes": list(ANSWER_TYPES),
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
    """`text` with every character that a value of metadata does not allow replaced by a space.

    The registry rejects a version for a comma, an apostrophe or a bracket. The unchanged text is in
    the evaluation beside the archive.
    """
    composed = unicodedata.normalize("NFC", text)
    taken = (character if _is_taken(character) else " " for character in composed)
    return "".join(taken).strip()[:MAX_METADATA_CHARACTERS]


def _is_taken(character: str) -> bool:
    return character in "_.:/=+-@" or unicodedata.category(character)[0] in "LZN"


def one_line(text: str) -> str:
    """`text` on one line: the registry rejects line breaks in descriptions."""
    return " ".join(text.split())[:MAX_DESCRIPTION_CHARACTERS]


def _ensure_group(stage: Stage, sagemaker: "SageMakerClient", group: str) -> None:
    try:
        sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=stage.tags)
    except ClientError as error:
        if not is_there_already(error):
            raise
