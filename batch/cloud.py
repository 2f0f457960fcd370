"""What a run works with: the clients, the settings and the bounds, handed in as one value."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from batch.bucket import Bucket
from batch.page import PageRef
from domain.model import ActiveModel
from domain.scope import Scope

if TYPE_CHECKING:
    from types_boto3_sagemaker.client import SageMakerClient
    from types_boto3_sagemaker.literals import TransformInstanceTypeType


@dataclass(frozen=True, slots=True)
class Machines:
    """What a transform job runs on."""

    type: "TransformInstanceTypeType"
    count: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one step may take on, whatever the size of the folder.

    A million images are 20 slices, 2,000 pages and, attempt by attempt, 2,000 LISTs of the two
    prefixes; a slice in memory is some 20 MB.
    """

    slice_rows: int = 50_000
    page_rows: int = 500
    walk_keys: int = 200_000
    planning_seconds: int = 300
    attempts: int = 3
    resend_seconds: int = 3600
    report_reads: int = 5_000


@dataclass(frozen=True, slots=True)
class Cloud:
    """`look_later(scope)` has the scope looked at again when it has been quiet."""

    bucket: Bucket
    sagemaker: "SageMakerClient"
    stage: str
    machines: Machines
    folder_depth: int
    endpoint_max_late: int
    active_model: Callable[[], ActiveModel]
    send_page: Callable[[PageRef], None]
    look_later: Callable[[Scope], None]
    now: Callable[[], datetime]
    new_nonce: Callable[[], str]
    bounds: Bounds = Bounds()
