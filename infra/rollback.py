"""Make the model active again that was active before: `python -m infra.rollback --stage dev`.

Which one that was is told by the versions of the pointer in S3. Again goes back once more.
"""

import argparse
import sys
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from domain.model import ActiveModel
from infra import pointer
from infra.activate import ActivationError, serve
from infra.pointer import Earlier
from infra.stage import Stage, StageError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient


def roll_back(
    stage: Stage, s3: "S3Client", sagemaker: "SageMakerClient", image: str | None
) -> ActiveModel:
    """In the image it was served by, or in `image`. Raises ActivationError."""
    if pointer.read(s3, stage.bucket).active is None:
        raise ActivationError("no model is active: there is nothing to go back from")
    earlier = pointer.before(s3, stage.bucket)
    if earlier is None:
        raise ActivationError("no other model was active before this one")
    served_by = image or _image_of(sagemaker, earlier)
    try:
        return serve(stage, s3, sagemaker, earlier.active.id, served_by, restores=earlier)
    except ActivationError as error:
        raise ActivationError(f"{error}\nIMAGE=…@sha256:… serves it by another image.") from error


def _image_of(sagemaker: "SageMakerClient", earlier: Earlier) -> str:
    name = earlier.active.sagemaker_model
    try:
        return sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["Image"]
    except ClientError as error:
        if "Could not find" not in error.response["Error"]["Message"]:
            raise
        raise ActivationError(
            f"SageMaker has no model {name} any more, which knew its image: say IMAGE=…@sha256:…"
        ) from error


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.rollback", description=__doc__)
    parser.add_argument("--stage", required=True)
    parser.add_argument("--image", help="another image than the one it was served by")
    given = parser.parse_args(arguments)
    try:
        s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
        active = roll_back(Stage(given.stage), s3, sagemaker, given.image)
    except (ActivationError, StageError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"active: {active.id}\nendpoint: {active.endpoint}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
