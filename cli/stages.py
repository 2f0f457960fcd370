"""Which cloud a command speaks to: this machine's, or an AWS account."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import SortboxError

if TYPE_CHECKING:
    from domain.model import ActiveModel
    from infra.shipped import Variant
    from infra.stage import Stage

LOCAL = "local"


class NotUpError(SortboxError):
    """There is no local cloud to speak to, or one of other sources."""


def connect(stage: "Stage") -> None:
    """Point every AWS client of this process at the stage's cloud.

    The local cloud is a set of endpoint URLs and keys; nothing of a person's own AWS profile is
    left beside them. For AWS, AWS_REGION is what people set and boto3 reads AWS_DEFAULT_REGION
    only: the first wins, as in the AWS CLI. Raises NotUpError if the local cloud is down, or
    NoRegionError where neither is set and the profile names none.
    """
    if stage.name == LOCAL:
        from infra.local.account import environment
        from infra.local.place import Place, Ports

        place = Place.named(os.environ)
        ports = Ports.read(place.ports)
        if ports is None:
            raise NotUpError("There is no local cloud yet. Run `./sortbox up` first.")
        if place.holder() is None:
            raise NotUpError("The local cloud is down. Run `./sortbox up` first.")
        theirs = environment(place, ports, os.environ)
        os.environ.clear()
        os.environ.update(theirs)
    elif region := os.environ.get("AWS_REGION"):
        os.environ["AWS_DEFAULT_REGION"] = region
    else:
        import boto3
        from botocore.exceptions import NoRegionError

        if boto3.Session().region_name is None:
            raise NoRegionError


def console_folder(bucket: str) -> Path:
    """Where the caches of a bucket are, beside the local cloud: another cloud has its own.

    It may be deleted whenever no command and no console runs.
    """
    from infra.local.place import Place

    folder = Place.named(os.environ).root / "console" / bucket
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def is_billed(stage: "Stage") -> bool:
    """Whether somebody pays by the hour for its machines."""
    return stage.name != LOCAL


def free_bytes_of(stage: "Stage") -> Callable[[], int] | None:
    """Measures what may be written to the disk that the stage's jobs share with its S3; None on
    AWS.
    """
    if stage.name != LOCAL:
        return None
    from infra.local.persistence.disk import free_for_uploads
    from infra.local.place import Place

    root = Place.named(os.environ).root
    return lambda: free_for_uploads(root)


def image_of(stage: "Stage", variant: "Variant") -> str:
    """The variant of the container's image, by digest; on this machine one stands for all.

    Raises NotUpError if the local cloud was started by other sources than these.
    """
    if stage.name == LOCAL:
        from infra.local import container_image
        from infra.local.place import Place

        uri = container_image.uri()
        if not container_image.is_known(Place.named(os.environ), uri):
            raise NotUpError(
                "Another version of Sortbox started the local cloud. Run `./sortbox up` first; "
                "images, answers and models stay."
            )
        return uri
    from infra.stacks import image

    return image.current(stage, variant)


def image_to_restore(stage: "Stage", before: str) -> str:
    """The image for a rollback to a model that the image `before` served.

    On this machine an update of Sortbox replaces its image; the one of these sources then serves
    any model.
    """
    if stage.name != LOCAL:
        return before
    from infra.local import container_image
    from infra.local.place import Place

    is_known = container_image.is_known(Place.named(os.environ), before)
    return before if is_known else image_of(stage, "serve")


def serve_as_deployed(stage: "Stage") -> "ActiveModel | None":
    """Serve the active model in the mode that the stage is deployed for; None if none is active.

    Raises ActivationError and StageError.
    """
    import boto3

    from infra.models.activate import follow_settings

    clients = boto3.client("s3"), boto3.client("sagemaker")
    return follow_settings(stage, *clients, lambda before: image_to_restore(stage, before))
