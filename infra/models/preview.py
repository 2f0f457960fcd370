"""What would change if another model answered: a sample of the inbox, and the page about it.

Nothing is written to the bucket. A sample reads the keys of at most MAX_LISTED images, the results
of MAX_IMAGES at most, and one image at a time.
"""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from aws.bucket import Bucket, Listed
from batch.outcome import Predicted, PreviousAnswer, in_outbox
from batch.reports.change_page import Thumbnail, page_about
from batch.reports.changes import Changes
from domain.model import ModelId
from domain.reply import Label
from domain.route import ENDPOINT_BYTES, Ignored, PackedFolder, route
from functions.inbox import FetchedImage, fetch

MAX_LISTED = 200_000
"""Of a larger inbox, or folder, the first so many keys are sampled: 200 LISTs."""

MAX_IMAGES = 2_000
MOST_SENTENCES = 10
READS_AT_ONCE = 16
PREVIEWS = Path("build/previews")


@dataclass(frozen=True, slots=True)
class Sample:
    """Images whose answers are current, and their files, which are named by their number."""

    answers: tuple[Predicted, ...]
    folder: Path

    def files(self) -> list[Path]:
        return [self.folder / str(number) for number in range(len(self.answers))]


def take_sample(bucket: Bucket, below: str, images: int, folder: Path) -> Sample:
    """Download up to `images` images below the key prefix `below`, each as likely as any other, to
    `folder`.

    Left out are those that have no labels, whose answers are outdated, and that are larger than the
    endpoint takes. The same inbox gives the same sample.
    """
    chosen = _choose(bucket, below, images)
    with ThreadPoolExecutor(READS_AT_ONCE) as threads:
        answers = threads.map(lambda item: in_outbox(bucket, item.key), chosen)
    kept: list[Predicted] = []
    for item, answer in zip(chosen, answers, strict=True):
        if not isinstance(answer, Predicted) or answer.etag != item.etag or not answer.labels:
            continue
        image = fetch(bucket.client, bucket.name, item.key, ENDPOINT_BYTES)
        if isinstance(image, FetchedImage) and image.source.etag == answer.etag:
            (folder / str(len(kept))).write_bytes(image.content)
            kept.append(answer)
    return Sample(tuple(kept), folder)


def _choose(bucket: Bucket, below: str, images: int) -> list[Listed]:
    """A reservoir sample (Vitter's algorithm R), in the order of the keys."""
    pick, chosen = random.Random(0), list[Listed]()
    for number, item in enumerate(islice(_images(bucket, below), MAX_LISTED)):
        place = number if number < images else pick.randrange(number + 1)
        if place < images:
            chosen[place : place + 1] = [item]
    return sorted(chosen, key=lambda item: item.key)


def _images(bucket: Bucket, below: str) -> Iterator[Listed]:
    for item in bucket.walk(below):
        if not isinstance(route(item.key), Ignored | PackedFolder):
            yield item


def compare(sample: Sample, model: str, labels: Sequence[Label | None], at: str) -> Changes:
    """`labels`: the best label of each image by `model`, None where it has none; `at`: now, a
    timestamp.
    """
    changes = Changes()
    for answer, label in zip(sample.answers, labels, strict=True):
        if label is None:
            continue
        before = PreviousAnswer(answer.labels[0].label, answer.labels[0].score, answer.model)
        changes.add(Predicted(answer.image, answer.etag, (label,), model, at), before)
    return changes


def sentences(changes: Changes) -> Iterator[str]:
    """What a terminal shows: the share that would change, and the most frequent changes."""
    yield (
        f"Of {changes.renewed:,} answers, {changes.flipped:,} ({changes.flipped_percent:.1f} %) "
        "would change."
    )
    pairs = [(pair, count) for pair, count in changes.matrix.most_common() if pair[0] != pair[1]]
    for (before, after), count in pairs[:MOST_SENTENCES]:
        yield f"{count:>6,}  {before} -> {after}"


def write_page(model: str, about: str, changes: Changes, thumbnail: Thumbnail) -> Path:
    """The page of a preview, which replaces an earlier one of the same model (its id, as text)."""
    PREVIEWS.mkdir(parents=True, exist_ok=True)
    id_ = ModelId.parse(model)
    path = PREVIEWS / f"{id_.name}-{id_.digest.removeprefix('sha256:')[:12]}.html"
    title = "What would change with another model"
    path.write_text(page_about(title, about, changes, thumbnail, is_preview=True), "utf-8")
    return path
