"""A folder of images to a data set that training can rely on, or a sentence before it starts.

Every file is read whole once: hashed for the fingerprint and decoded (a JPEG at an eighth of its
size, which finds what is cut short at a fifth of the cost).
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from domain.archive import ArchiveError, check_labels
from domain.file_names import UnsafeName, relative
from domain.foreign import visible
from domain.route import LARGEST_BYTES
from serving.decoding.bounds import MAX_PIXELS
from serving.decoding.decode import decode
from serving.decoding.undecodable import UndecodableError
from serving.files import read_regular
from training.config.errors import TrainingFailed
from training.data import folders
from training.data.folders import Classes

AT_ONCE = 1024
"""Files that are queued for the threads: a million futures would take a gigabyte."""

SHARE = 0.15
"""Of a split that has to be made out of another."""

SPLIT_SEED = "sortbox"
"""Fixed, and none of the hyperparameters: models trained with other seeds share their test."""

NAMED = 5
"""Examples in a sentence, and in the report."""


@dataclass(frozen=True, slots=True)
class Example:
    path: str
    label: int
    digest: str
    """sha256 of the file, 16 hex digits: enough to find twins among millions."""


@dataclass(frozen=True, slots=True)
class Dataset:
    root: Path
    labels: tuple[str, ...]
    splits: Mapping[str, tuple[Example, ...]]
    """train, validation and, where something selects by validation, test."""
    left_out: tuple[str, ...]
    """Unreadable files with the reason, at most as many as the share that is forgiven."""
    twins: int
    """Images of validation or test that are in train as well, byte for byte."""
    passed_over: tuple[str, ...]
    """Hidden folders that may have been meant as classes."""
    fingerprint: str
    """Of split, class and content; names and dates do not matter."""

    @property
    def judge(self) -> str:
        """The split whose accuracy is reported."""
        return "test" if "test" in self.splits else "validation"

    def counts(self, split: str) -> list[int]:
        count = Counter(example.label for example in self.splits[split])
        return [count[label] for label in range(len(self.labels))]


def prepare(
    channels: Path, selects: bool, max_unreadable: float, go_on: Callable[[], None]
) -> Dataset:
    """`selects`: validation will choose an epoch, so it cannot judge: a test split is needed.

    `go_on` is called now and then, and may raise. Raises TrainingFailed.
    """
    root, found = folders.splits(channels)
    labels = _agreed(found)
    given: dict[str, list[Example]] = {}
    left_out: list[str] = []
    total = sum(len(files) for classes in found.values() for files in classes.values())
    for split, classes in found.items():
        given[split] = []
        for example in examined(root, classes, labels, go_on):
            if isinstance(example, Example):
                given[split].append(example)
            else:
                left_out.append(example)
                _refuse_too_many(left_out, total, max_unreadable)
        _refuse_empty(given[split], labels, split)
    complete = _completed(given, selects, labels)
    return Dataset(
        root,
        labels,
        complete,
        tuple(left_out),
        _twins(complete),
        folders.passed_over(channels, root),
        _fingerprint(complete, labels),
    )


def described(dataset: Dataset) -> str:
    """A line for the log."""
    sizes = ", ".join(f"{len(examples)} {split}" for split, examples in dataset.splits.items())
    left_out = f"; left out as unreadable: {some(dataset.left_out)}"
    twins = f"; {dataset.twins} images are both learnt and judged on"
    hidden = (
        f"; no classes, because `_` and `.` hide a name: {some(dataset.passed_over)}"
        " (rename them to train on them)"
    )
    return (
        f"{sizes} images of {len(dataset.labels)} classes, {dataset.fingerprint}"
        + (left_out if dataset.left_out else "")
        + (hidden if dataset.passed_over else "")
        + (twins if dataset.twins else "")
    )


def _agreed(found: Mapping[str, Classes]) -> tuple[str, ...]:
    """The classes, once it is sure that every split has them and that none is empty."""
    labels = tuple(found["train"])
    if len(labels) < 2:
        raise TrainingFailed(
            f"There is one class only, {labels[0]!r}: learning to tell needs two folders or more."
        )
    try:
        check_labels(labels)
    except ArchiveError as error:
        raise TrainingFailed(
            f"No model can have these {len(labels):,} classes: {visible(str(error))}."
        ) from error
    for split, classes in found.items():
        odd = sorted(set(classes) ^ set(labels))
        if odd:
            raise TrainingFailed(
                f"The classes of {split} and of train differ in {len(odd)}: {some(odd)}."
            )
        empty = [name for name, files in classes.items() if not files]
        if empty:
            raise TrainingFailed(f"{len(empty)} classes of {split} are empty: {some(empty)}.")
    return labels


def examined(
    root: Path, classes: Classes, labels: tuple[str, ...], go_on: Callable[[], None]
) -> Iterator[Example | str]:
    number = {name: label for label, name in enumerate(labels)}
    jobs = ((root, path, number[name]) for name, files in classes.items() for path in files)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        while some := list(islice(jobs, AT_ONCE)):
            go_on()
            yield from pool.map(_examine, *zip(*some, strict=True))


def _examine(root: Path, path: str, label: int) -> Example | str:
    """Why it is left out, where it is: it is no regular file, has an impossible name, or is no
    image."""
    try:
        relative(path)
        body = read_regular(root / path, LARGEST_BYTES)
        decode(body, MAX_PIXELS, 1)
    except UndecodableError as error:
        return f"{path}: {error.message}"
    except UnsafeName as error:
        return str(error)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return Example(path, label, hashlib.sha256(body).hexdigest()[:16])


def _refuse_too_many(left_out: list[str], total: int, share: float) -> None:
    if len(left_out) > share * total:
        raise TrainingFailed(
            f"{len(left_out)} or more of {total} images cannot be read, such as {some(left_out)} "
            f"Repair or remove them, or raise max-unreadable (now {share:g}) to leave them out."
        )


def _refuse_empty(examples: list[Example], labels: tuple[str, ...], split: str) -> None:
    there = {example.label for example in examples}
    empty = [name for label, name in enumerate(labels) if label not in there]
    if empty:
        raise TrainingFailed(f"No image of {split} can be read in {some(empty)}.")


def _completed(
    given: dict[str, list[Example]], selects: bool, labels: tuple[str, ...]
) -> dict[str, tuple[Example, ...]]:
    """With the splits that are missing taken out of train, stratified by class."""
    wanted = ["validation"] if "validation" not in given else []
    if "test" not in given and (selects or wanted):
        wanted.append("test")
    splits = dict(given)
    for split in wanted:
        share = SHARE / (1 - SHARE * wanted.index(split))
        splits[split], splits["train"] = _taken(splits["train"], share, split, labels)
    order = ("train", "validation", "test")
    return {split: tuple(splits[split]) for split in order if split in splits}


def _taken(
    examples: list[Example], share: float, split: str, labels: tuple[str, ...]
) -> tuple[list[Example], list[Example]]:
    """The share and the rest. By content, so that it hangs on no file's name or date."""
    taken: list[Example] = []
    rest: list[Example] = []
    for label, name in enumerate(labels):
        own = sorted((each for each in examples if each.label == label), key=_lot)
        count = max(1, round(share * len(own)))
        if count >= len(own):
            raise TrainingFailed(
                f"Class {name!r} has too few images to spare some for {split}: add images, or give "
                "the splits in folders train, validation and test."
            )
        taken += own[:count]
        rest += own[count:]
    return taken, rest


def _lot(example: Example) -> str:
    return hashlib.sha256(f"{SPLIT_SEED}:{example.digest}:{example.path}".encode()).hexdigest()


def _twins(splits: Mapping[str, Iterable[Example]]) -> int:
    learnt = {example.digest for example in splits["train"]}
    return sum(
        example.digest in learnt
        for split, examples in splits.items()
        if split != "train"
        for example in examples
    )


def _fingerprint(splits: Mapping[str, Iterable[Example]], labels: tuple[str, ...]) -> str:
    total = hashlib.sha256()
    for split, examples in sorted(splits.items()):
        for each in sorted(examples, key=lambda example: (example.label, example.digest)):
            total.update(f"{split}\t{labels[each.label]}\t{each.digest}\n".encode())
    return f"sha256:{total.hexdigest()}"


def some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
