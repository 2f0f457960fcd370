"""The input channels of a job: images and weights, validated, in S3 where the role may read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from domain import keys
from domain.foreign import visible
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.launch import s3_copy, upload
from training.launch.s3_copy import OnProgress, S3Location
from training.launch.s3_objects import S3, list_objects, split_uri

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


ROOM = 1.25
"""Of a job's disk, to the images on it: features, checkpoints and the model lie there too."""


@dataclass(frozen=True, slots=True)
class Inputs:
    source: str
    """A folder, or an s3:// address."""
    weights: str | None
    config: TrainConfig
    volume_gb: int | None
    """Of the job's disk; None where the instance brings one of its own."""
    free_bytes: int | None = None
    """Of this machine's disk, where the job runs in the local cloud; None on AWS."""

    def check_size(self, size: int) -> None:
        """Raises TrainingFailed for images that would fill a disk while they are uploaded or
        downloaded.
        """
        copies = ROOM if self.source.startswith(S3) else 1 + ROOM
        if self.free_bytes is not None and size * copies > self.free_bytes:
            raise TrainingFailed(
                f"The images take {size / 1e6:,.0f} MB. The local cloud needs "
                f"{size * copies / 1e6:,.0f} MB for them and for the job's copy, and "
                f"{max(self.free_bytes, 0) / 1e6:,.0f} MB are free on its disk. Free some space."
            )
        if self.volume_gb is not None and size * ROOM > self.volume_gb * 10**9:
            raise TrainingFailed(
                f"The images take {size / 1e9:,.1f} GB, and a job's disk has {self.volume_gb} GB: "
                f"pass --volume-gb {ceil(size * ROOM / 10**9)}."
            )


def prepare(s3: "S3Client", bucket: str, inputs: Inputs, console: Console) -> dict[str, str]:
    """s3:// addresses by channel. `bucket` is the stage's.

    Raises TrainingFailed, before any compute is spent.
    """
    source, weights = inputs.source, inputs.weights
    dataset = upload.inspect_source(s3, source, inputs.config)
    describe = data.describe_layout if source.startswith(S3) else data.describe
    console.print(describe(dataset), markup=False, soft_wrap=True)
    uris: dict[str, str] = {}
    if weights and weights.startswith(S3):
        uris["weights"] = _weights_in_s3(s3, bucket, weights, console)
    elif weights:
        uris["weights"] = upload.upload_weights(s3, bucket, weights)
    if source.startswith(S3):
        images = S3Location(*split_uri(source))
        inputs.check_size(sum(item.size for item in images.objects(s3)))
        uris["data"] = _in_place_or_copied(s3, bucket, images, console)
    else:
        inputs.check_size(upload.size_of(dataset))
        with _bar(console, "images in S3") as on_progress:
            uris["data"] = upload.upload_dataset(s3, bucket, dataset, on_progress)
    return uris


def _in_place_or_copied(s3: "S3Client", bucket: str, source: S3Location, console: Console) -> str:
    if s3_copy.is_readable_by_role(source.uri, bucket) and not source.is_object:
        return source.uri
    contents = s3_copy.measure(s3, source)
    target = f"{S3}{bucket}/{keys.own_prefix(contents.digest)}"
    route = s3_copy.route_of(s3, source.bucket)
    sentence = s3_copy.announcement(source.uri, contents, target, route)
    console.print(visible(sentence), markup=False, soft_wrap=True)
    with _bar(console, "objects copied") as on_progress:
        return s3_copy.copy(s3, source, contents, bucket, on_progress)


def _weights_in_s3(s3: "S3Client", bucket: str, uri: str, console: Console) -> str:
    """A channel is a prefix and must hold one file: `w.pth` is also the prefix of `w.pth2`."""
    names = [item.key for item in list_objects(s3, *split_uri(uri))]
    if not names:
        raise TrainingFailed(f"There are no weights at {uri}.")
    is_object = split_uri(uri)[1] in names
    if len(names) > 1 and not is_object:
        raise TrainingFailed(
            f"There are {len(names):,} objects at {uri}, and weights are one file: name it."
        )
    only = S3Location(*split_uri(uri), is_object=is_object and len(names) > 1)
    return _in_place_or_copied(s3, bucket, only, console)


@contextmanager
def _bar(console: Console, title: str) -> Iterator[OnProgress]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(title, total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)
