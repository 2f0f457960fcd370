"""What every part of the console works with: a stage, its bucket, and a folder for caches."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aws.bucket import Bucket
from infra.diagnostics.catalog import Catalog
from infra.diagnostics.findings import StatusSources
from infra.local.account import STAGE
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_sagemaker.client import SageMakerClient
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from types_boto3_sqs.client import SQSClient


@dataclass(frozen=True, slots=True)
class Console:
    """A stage as the console sees it.

    `folder` holds caches alone, and may be deleted whenever no console runs: S3 is the only state.
    """

    stage: Stage
    bucket: Bucket
    sagemaker: "SageMakerClient"
    runtime: "SageMakerRuntimeClient"
    sqs: "SQSClient"
    folder: Path
    read_only: bool = False

    @property
    def catalog(self) -> Catalog:
        """Lists of what the stage holds."""
        return Catalog(self.stage, self.bucket, self.sagemaker)

    @property
    def sources(self) -> StatusSources:
        """What `./sortbox status` asks."""
        return StatusSources(self.stage, self.bucket, self.sqs, self.sagemaker)

    @property
    def is_billed(self) -> bool:
        """Whether somebody pays for what runs: not in the local cloud."""
        return self.stage != STAGE
