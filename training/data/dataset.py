"""Turns a folder of images into a validated data set, or fails before training starts.

Every file is read once: hashed for the fingerprint and decoded (a JPEG at an eighth of its size,
which detects truncated files at a fifth of the cost).
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

FILES_AT_ONCE = 1024
"""Queued for the threads: a million futures would take a gigabyte."""

HELD_OUT_SHARE = 0.15
"""Of a split that is taken from train."""

SPLIT_SEED = "sortbox"
"""Fixed and not a hyperparameter: models trained with other seeds share their test split."""

EXAMPLES_SHOWN = 5
"""In a sentence, and in the report."""


@dataclass(frozen=True, slots=True)
class Example:
    path: str
    label: int
    digest: str
    """sha256 of the file, 16 hex digits: enough to detect duplicates among millions."""


@dataclass(frozen=True, slots=True)
class Dataset:
    root: Path
    labels: tuple[str, ...]
    splits: Mapping[str, tuple[Example, ...]]
    """train, validation and, if validation selects something, test."""
    left_out: tuple[str, ...]
    """Unreadable files with the reason, at most the tolerated share."""
    duplicates: int
    """Images of validation or test that are also in train, byte for byte."""
    passed_over: tuple[str, ...]
    """Hidden folders that may be meant as classes."""
    fingerprint: str
    """Of splits, classes and contents; names and dates do not matter."""

    @property
    def test_split(self) -> str:
        """The split that evaluates the model."""
        return "test" if "test" in self.splits else "validation"

    def counts(self, split: str) -> list[int]:
        count = Counter(example.label for example in self.splits[split])
        return [count[label] for label in range(len(self.labels))]


def prepare(
    channels: Path, needs_test: bool, max_unreadable: float, check_interrupt: Callable[[], None]
) -> Dataset:
    """`needs_test`: validation selects something, so a test split must evaluate the result.

    `check_interrupt` is called now and then, and may raise. Raises TrainingFailed.
    """
    root, classes_by_split = folders.splits(channels)
    labels = _check_classes(classes_by_split)
    examples: dict[str, list[Example]] = {}
    left_out: list[str] = []
    total = sum(len(files) for classes in classes_by_split.values() for files in classes.values())
    for split, classes in classes_by_split.items():
        examples[split] = []
        for example in examine(root, classes, labels, check_interrupt):
            if isinstance(example, Example):
                examples[split].append(example)
            else:
                left_out.append(example)
                _refuse_too_many(left_out, total, max_unreadable)
        _refuse_empty(examples[split], labels, split)
    complete = _add_missing_splits(examples, needs_test, labels)
    return Dataset(
        root,
        labels,
        complete,
        tuple(left_out),
        _count_duplicates(complete),
        folders.passed_over(channels, root),
        fingerprint(complete, labels),
    )


def describe(dataset: Dataset) -> str:
    """A line for the log."""
    sizes = ", ".join(f"{len(examples)} {split}" for split, examples in dataset.splits.items())
    left_out = f"; left out as unreadable: {summarize(dataset.left_out)}"
    duplicates = f"; {dataset.duplicates} images are in train and in a held-out split"
    hidden = (
        "; no classes, because their names are hidden or a system's: "
        f"{summarize(dataset.passed_over)} (rename them to train on them)"
    )
    return (
        f"{sizes} images of {len(dataset.labels)} classes, {dataset.fingerprint}"
        + (left_out if dataset.left_out else "")
        + (hidden if dataset.passed_over else "")
        + (duplicates if dataset.duplicates else "")
    )


def _check_classes(classes_by_split: Mapping[str, Classes]) -> tuple[str, ...]:
    """The classes; every split has them, and none is empty."""
    labels = tuple(classes_by_split["train"])
    if len(labels) < 2:
        raise TrainingFailed(
            f"There is only one class, {labels[0]!r}: training needs two folders or more."
        )
    try:
        check_labels(labels)
    except ArchiveError as error:
        raise TrainingFailed(
            f"No model can have these {len(labels):,} classes: {visible(str(error))}."
        ) from error
    for split, classes in classes_by_split.items():
        odd = sorted(set(classes) ^ set(labels))
        if odd:
            raise TrainingFailed(
                f"The classes of {split} and of train differ in {len(odd)}: {summarize(odd)}."
            )
        empty = [name for name, files in classes.items() if not files]
        if empty:
            raise TrainingFailed(f"{len(empty)} classes of {split} are empty: {summarize(empty)}.")
    return labels


def examine(
    root: Path, classes: Classes, labels: tuple[str, ...], check_interrupt: Callable[[], None]
) -> Iterator[Example | str]:
    number = {name: label for label, name in enumerate(labels)}
    jobs = ((root, path, number[name]) for name, files in classes.items() for path in files)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        while chunk := list(islice(jobs, FILES_AT_ONCE)):
            check_interrupt()
            yield from pool.map(_examine, *zip(*chunk, strict=True))


def _examine(root: Path, path: str, label: int) -> Example | str:
    """The example, or why it is left out: no regular file, an impossible name, or no image."""
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
            f"{len(left_out)} or more of {total} images cannot be read, such as "
            f"{summarize(left_out)} "
            f"Repair or remove them, or raise max-unreadable (now {share:g}) to leave them out."
        )


def _refuse_empty(examples: list[Example], labels: tuple[str, ...], split: str) -> None:
    there = {example.label for example in examples}
    empty = [name for label, name in enumerate(labels) if label not in there]
    if empty:
        raise TrainingFailed(f"No image of {split} can be read in {summarize(empty)}.")


def _add_missing_splits(
    examples_by_split: dict[str, list[Example]], needs_test: bool, labels: tuple[str, ...]
) -> dict[str, tuple[Example, ...]]:
    """Missing splits are taken from train, stratified by class."""
    missing = ["validation"] if "validation" not in examples_by_split else []
    if "test" not in examples_by_split and (needs_test or missing):
        missing.append("test")
    splits = dict(examples_by_split)
    for split in missing:
        share = HELD_OUT_SHARE / (1 - HELD_OUT_SHARE * missing.index(split))
        splits[split], splits["train"] = hold_out(splits["train"], share, split, labels)
    order = ("train", "validation", "test")
    return {split: tuple(splits[split]) for split in order if split in splits}


def hold_out(
    examples: list[Example], share: float, split: str, labels: tuple[str, ...]
) -> tuple[list[Example], list[Example]]:
    """Held-out examples and the rest, selected by content: names and dates do not matter."""
    held_out: list[Example] = []
    rest: list[Example] = []
    for label, name in enumerate(labels):
        own = sorted((example for example in examples if example.label == label), key=_split_order)
        count = max(1, round(share * len(own)))
        if count >= len(own):
            raise TrainingFailed(
                f"Class {name!r} has too few images to spare some for {split}: add images, or give "
                "the splits in folders train, validation and test."
            )
        held_out += own[:count]
        rest += own[count:]
    return held_out, rest


def _split_order(example: Example) -> str:
    return hashlib.sha256(f"{SPLIT_SEED}:{example.digest}:{example.path}".encode()).hexdigest()


def _count_duplicates(splits: Mapping[str, Iterable[Example]]) -> int:
    trained = {example.digest for example in splits["train"]}
    return sum(
        example.digest in trained
        for split, examples in splits.items()
        if split != "train"
        for example in examples
    )


def fingerprint(splits: Mapping[str, Iterable[Example]], labels: tuple[str, ...]) -> str:
    total = hashlib.sha256()
    for split, examples in sorted(splits.items()):
        for item in sorted(examples, key=lambda example: (example.label, example.digest)):
            total.update(f"{split}\t{labels[item.label]}\t{item.digest}\n".encode())
    return f"sha256:{total.hexdigest()}"


def summarize(names: Sequence[str]) -> str:
    more = f" and {len(names) - EXAMPLES_SHOWN} more" if len(names) > EXAMPLES_SHOWN else ""
    return ", ".join(names[:EXAMPLES_SHOWN]) + more
