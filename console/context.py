"""What every part of the console works with: a stage, its bucket, and a folder for caches."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.config import Config

from aws.bucket import Bucket
from infra.diagnostics.catalog import Catalog
from infra.diagnostics.findings import StatusSources
from infra.local.account import STAGE
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_sagemaker.client import SageMakerClient
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from types_boto3_sqs.client import SQSClient

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
ATTEMPTS = 2
"""Of a request. A page whose cloud cannot be reached, or accepts connections and never answers,
says so within some ten seconds, where botocore's own five attempts of a minute each would take
minutes; what is repeated in the background goes on."""

SLOW = Config(read_timeout=60)
"""For what an answer may take longer: an upload's last byte, and an endpoint that starts. It is
botocore's own default."""


def bound_clients(read_seconds: float = READ_SECONDS) -> None:
    """Give every client that this process makes from now on the bounds of a page.

    A client that is made with `config=SLOW` waits longer for an answer. Commands that a button runs
    are processes of their own, and wait as they do in a terminal.
    """
    session = botocore.session.get_session()
    session.set_default_client_config(
        Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            retries={"total_max_attempts": ATTEMPTS},
        )
    )
    boto3.setup_default_session(botocore_session=session)


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
    slow_bucket: Bucket | None = None
    """The same bucket by a client that waits longer, for uploads; None: `bucket` takes them."""

    @property
    def uploads(self) -> Bucket:
        """The bucket, for requests that carry content."""
        return self.slow_bucket or self.bucket

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
