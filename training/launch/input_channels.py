"""The input channels of a job: images and weights, validated, in S3 where the role may read."""

from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
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
class Room:
    """What a job may write."""

    volume_gb: int | None
    """Of the job's disk; None where the instance brings one of its own."""
    free_bytes: Callable[[], int] | None = None
    """Of the disk that holds both S3 and the job; None where nobody needs to measure it."""

    def check(self, images: int, new: int = 0) -> None:
        """Raises TrainingFailed for images that would fill a disk. `images`: the bytes that the job
        downloads; `new`: of these, the bytes that are not in S3 yet.
        """
        needed, free = new + images * ROOM, self.free_bytes() if self.free_bytes else None
        if free is not None and needed > free:
            raise TrainingFailed(
                f"The images take {images / 1e6:,.0f} MB. The local cloud needs "
                f"{needed / 1e6:,.0f} MB for them and for the job's copy, and "
                f"{max(free, 0) / 1e6:,.0f} MB are free on its disk. Free some space."
            )
        if self.volume_gb is not None and images * ROOM > self.volume_gb * 10**9:
            raise TrainingFailed(
                f"The images take {images / 1e9:,.1f} GB, and a job's disk has {self.volume_gb} "
                f"GB: pass --volume-gb {ceil(images * ROOM / 10**9)}."
            )


@dataclass(frozen=True, slots=True)
class Inputs:
    source: str
    """A folder, or an s3:// address."""
    weights: str | None
    config: TrainConfig
    room: Room
    """Of the job that the images are for. It is checked before any of them is uploaded or copied:
    where all are in S3, the job may run already, and needs no more.
    """
    exclude: Set[str] = frozenset()
    """Paths of images of a folder that are left out."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The input channels of a job."""

    uris: Mapping[str, str]
    """s3:// addresses by channel."""
    in_place: Mapping[str, str] = field(default_factory=dict)
    """A digest of the contents of each channel whose address does not name them: whoever writes
    there can change them.
    """
    size: int = 0
    """Of the images, in bytes."""

    @property
    def identity(self) -> dict[str, str]:
        """By channel, what is the same for the same contents only."""
        return {
            channel: f"{uri}#{self.in_place[channel]}" if channel in self.in_place else uri
            for channel, uri in self.uris.items()
        }


@dataclass(frozen=True, slots=True)
class _Channel:
    uri: str
    size: int = 0
    digest: str = ""
    """Of contents that are used in place."""


def prepare(s3: "S3Client", bucket: str, inputs: Inputs, console: Console) -> Channels:
    """`bucket` is the stage's. Raises TrainingFailed, before any compute is spent."""
    source, weights = inputs.source, inputs.weights
    dataset = upload.inspect_source(s3, source, inputs.config, inputs.exclude)
    describe = data.describe_layout if source.startswith(S3) else data.describe
    console.print(describe(dataset), markup=False, soft_wrap=True)
    channels: dict[str, _Channel] = {}
    if weights and weights.startswith(S3):
        channels["weights"] = _weights_in_s3(s3, bucket, weights, console)
    elif weights:
        channels["weights"] = _Channel(upload.upload_weights(s3, bucket, weights))
    if source.startswith(S3):
        images = S3Location(*split_uri(source))
        channels["data"] = _in_place_or_copied(s3, bucket, images, console, inputs.room)
    else:
        size = upload.size_of(dataset)
        target = S3Location(bucket, keys.dataset_prefix(dataset.fingerprint))
        _check_room(s3, target, size, inputs.room)
        with _bar(console, "images in S3") as on_progress:
            uri = upload.upload_dataset(s3, bucket, dataset, on_progress)
        channels["data"] = _Channel(uri, size)
    return Channels(
        {name: channel.uri for name, channel in channels.items()},
        {name: channel.digest for name, channel in channels.items() if channel.digest},
        channels["data"].size,
    )


def _check_room(s3: "S3Client", target: S3Location, size: int, room: Room) -> None:
    """Raises TrainingFailed where what is missing at `target` of `size` bytes finds no room."""
    new = size - sum(item.size for item in target.objects(s3))
    if new > 0:
        room.check(size, new)


def _in_place_or_copied(
    s3: "S3Client", bucket: str, source: S3Location, console: Console, room: Room
) -> _Channel:
    contents = s3_copy.measure(s3, source)
    if s3_copy.is_readable_by_role(source.uri, bucket) and not source.is_object:
        return _Channel(source.uri, contents.size, contents.digest)
    s3_copy.check_names(source, contents)
    target = S3Location(bucket, keys.own_prefix(contents.digest))
    _check_room(s3, target, contents.size, room)
    route = s3_copy.route_of(s3, source.bucket)
    sentence = s3_copy.announcement(source.uri, contents, target.uri, route)
    console.print(visible(sentence), markup=False, soft_wrap=True)
    with _bar(console, "objects copied") as on_progress:
        uri = s3_copy.copy(s3, source, contents, bucket, on_progress)
    return _Channel(uri, contents.size)


def _weights_in_s3(s3: "S3Client", bucket: str, uri: str, console: Console) -> _Channel:
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
    return _in_place_or_copied(s3, bucket, only, console, Room(None))


@contextmanager
def _bar(console: Console, title: str) -> Iterator[OnProgress]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(title, total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)
