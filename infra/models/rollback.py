"""Make the previously active model active again.

The versions of the pointer object in S3 say which one that was. A second rollback goes back one
model further.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from aws import active_model
from domain.model import ActiveModel
from infra.models.activate import ActivationError, image_of, serve
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient


def roll_back(
    stage: Stage,
    s3: "S3Client",
    sagemaker: "SageMakerClient",
    image: str | None,
    restore: Callable[[str], str] = str,
) -> ActiveModel:
    """Roll back, with `image`, or with what `restore` returns for the image that the model was
    served by. Raises ActivationError.
    """
    if active_model.read(s3, stage.bucket).active is None:
        raise ActivationError("no model is active: there is nothing to go back from")
    earlier = active_model.before(s3, stage.bucket)
    if earlier is None:
        raise ActivationError("no other model was active before this one")
    served_by = image or restore(image_of(sagemaker, earlier.active))
    try:
        return serve(stage, s3, sagemaker, earlier.active.id, served_by, restores=earlier)
    except ActivationError as error:
        raise ActivationError(
            f"{error}\n--image …@sha256:… serves it by another image; `./sortbox image --stage "
            f"{stage.name}` prints one."
        ) from error
