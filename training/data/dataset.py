"""Turns a folder of images into a validated data set, or fails before training starts.

Every file is read once: hashed for the fingerprint and decoded (a JPEG at an eighth of its size,
which detects truncated files at a fifth of the cost).
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath

from domain.archive import ArchiveError, check_labels
from domain.file_names import UnsafeName, relative
from domain.foreign import visible
from domain.route import LARGEST_BYTES
from serving.decoding.bounds import MAX_PIXELS
from serving.decoding.decode import decode
from serving.decoding.undecodable import UndecodableError
from serving.files import read_regular
from training.config.errors import TrainingFailed
from training.data.ambiguous import refuse_ambiguous
from training.data.folders import Classes, FolderLayout, hint, inside, read_layout
from training.data.unused import EXAMPLES_SHOWN, Record, UnusedFiles, read_record

FILES_AT_ONCE = 1024
"""Queued for the threads: a million futures would take a gigabyte."""

HELD_OUT_SHARE = 0.15
"""Of a split that is taken from train."""

SPLIT_SEED = "sortbox"
"""Fixed and not a hyperparameter: models trained with other seeds share their test split."""

CLASSES_SHOWN = 20
"""In the log, with their numbers of images."""


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
    duplicates: tuple[str, ...]
    """Paths of images of validation or test that are also in train, byte for byte."""
    fingerprint: str
    """Of splits, classes and contents; names and dates do not matter."""
    folders: Mapping[str, str] = field(default_factory=dict)
    """The folder of each split that there was one for, below the root."""
    unused: UnusedFiles = field(default_factory=UnusedFiles)
    """What else the folder holds."""
    record: Record = field(default_factory=Record)
    """What was left out before the data set was uploaded."""

    @property
    def test_split(self) -> str:
        """The split that evaluates the model."""
        return "test" if "test" in self.splits else "validation"

    @property
    def all_unused(self) -> UnusedFiles:
        """Before the data set was uploaded, and here."""
        unused = UnusedFiles()
        unused.merge(self.record.unused)
        unused.merge(self.unused)
        return unused

    def inside(self, example: Example) -> tuple[str, ...]:
        """The path of an image below the folder of its class."""
        tops = (PurePosixPath(top) for top in self.folders.values())
        path = PurePosixPath(example.path)
        top = next((top for top in tops if path.is_relative_to(top)), PurePosixPath())
        return inside(example.path, self.labels[example.label], top)

    def class_images(self, split: str) -> dict[str, int]:
        return dict(zip(self.labels, self.counts(split), strict=True))

    def counts(self, split: str) -> list[int]:
        count = Counter(example.label for example in self.splits[split])
        return [count[label] for label in range(len(self.labels))]


def prepare(
    channels: Path, needs_test: bool, max_unreadable: float, check_interrupt: Callable[[], None]
) -> Dataset:
    """`needs_test`: validation selects something, so a test split must evaluate the result.

    `check_interrupt` is called now and then, and may raise. Raises TrainingFailed.
    """
    layout = read_layout(channels)
    root, classes_by_split = layout.root, layout.splits
    record = read_record(root)
    if record is None:  # otherwise the launcher has checked it, and written it itself
        refuse_ambiguous(layout)
    labels = _check_classes(layout)
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
    tops = {split: top for split, top in layout.tops.items() if top != root}
    return Dataset(
        root,
        labels,
        complete,
        tuple(left_out),
        _duplicates(complete),
        fingerprint(complete, labels),
        {split: top.relative_to(root).as_posix() for split, top in tops.items()},
        layout.unused,
        record or Record(),
    )


EXCLUDED = "excluded by a list"
"""Why images that `leave_out` takes away are not used."""


def leave_out(dataset: Dataset, paths: Set[str]) -> Dataset:
    """Without these images, whose paths are below the root. Splits that were made stay what they
    are. Raises TrainingFailed where no image is on the list, or a class is left empty.
    """
    splits = {
        split: tuple(example for example in examples if example.path not in paths)
        for split, examples in dataset.splits.items()
    }
    excluded = [
        example.path
        for examples in dataset.splits.values()
        for example in examples
        if example.path in paths
    ]
    if paths and not excluded:
        raise TrainingFailed(
            f"None of the {_images(len(paths))} that the list names is in {dataset.root}: "
            f"{summarize(sorted(paths))}. The list is of other data."
        )
    for split, examples in splits.items():
        there = {example.label for example in examples}
        empty = [name for label, name in enumerate(dataset.labels) if label not in there]
        if empty:
            raise TrainingFailed(
                f"The list leaves no image of {summarize(empty)} in {split}: delete rows from it, "
                "or add images."
            )
    unused = UnusedFiles()
    unused.merge(dataset.unused)
    for path in excluded:
        unused.add(path, EXCLUDED)
    return replace(
        dataset,
        splits=splits,
        duplicates=_duplicates(splits),
        fingerprint=fingerprint(splits, dataset.labels),
        unused=unused,
    )


def describe(dataset: Dataset) -> str:
    """For the log, in lines: how the folders were understood, and what is not used of them."""
    sizes = ", ".join(f"{len(examples):,} {split}" for split, examples in dataset.splits.items())
    counts = [sum(split) for split in zip(*map(dataset.counts, dataset.splits), strict=True)]
    classes = [f"{label} {count:,}" for label, count in zip(dataset.labels, counts, strict=True)]
    shown = ", ".join(classes[:CLASSES_SHOWN])
    more = len(classes) - CLASSES_SHOWN
    left_out = [*dataset.record.left_out_such_as, *dataset.left_out]
    count = dataset.record.left_out + len(dataset.left_out)
    lines = [
        f"{sizes} images of {len(dataset.labels):,} classes, {dataset.fingerprint}",
        f"classes: {shown}" + (f" and {more:,} more" if more > 0 else ""),
        f"splits: {'; '.join(_origin(dataset, split) for split in dataset.splits)}",
        *dataset.all_unused.lines(),
    ]
    if count:
        lines.append(f"left out as unreadable: {_images(count)}:")
        lines += [f"  {reason}" for reason in left_out[:EXAMPLES_SHOWN]]
    if dataset.duplicates:
        verb = "is" if len(dataset.duplicates) == 1 else "are"
        lines.append(
            f"{_images(len(dataset.duplicates))} {verb} in both train and a held-out split (which "
            f"flatters the accuracy): {summarize(dataset.duplicates)}"
        )
    return "\n".join(map(visible, lines))


def describe_layout(dataset: Dataset) -> str:
    """What is known of data in S3 before the job reads them: of each folder a few names."""
    shown = ", ".join(dataset.labels[:CLASSES_SHOWN])
    more = len(dataset.labels) - CLASSES_SHOWN
    lines = [
        f"{len(dataset.labels):,} classes: {shown}" + (f" and {more:,} more" if more > 0 else ""),
        f"splits: {'; '.join(_origin(dataset, split) for split in dataset.splits)}",
        *dataset.all_unused.lines(is_counted=False),
    ]
    return "\n".join(map(visible, lines))


def _origin(dataset: Dataset, split: str) -> str:
    """Where the images of a split come from."""
    if split in dataset.folders:
        return f"{split} is {dataset.folders[split]}/"
    if split == "train":
        return "train is what is not held out"
    return f"{split} is held out of train"


def _images(count: int) -> str:
    return f"{count:,} {'image' if count == 1 else 'images'}"


def _check_classes(layout: FolderLayout) -> tuple[str, ...]:
    """The classes; every split has them, and none is empty."""
    classes_by_split = layout.splits
    labels = tuple(classes_by_split["train"])
    if len(labels) < 2:
        raise TrainingFailed(
            f"There is only one class, {labels[0]!r}: training needs two folders or more."
            f"{hint(layout.root, layout.tops['train'])}"
        )
    try:
        check_labels(labels)
    except ArchiveError as error:
        raise TrainingFailed(
            f"No model can have these {len(labels):,} classes: {visible(str(error))}."
        ) from error
    for split, classes in classes_by_split.items():
        lacking, extra = sorted(set(labels) - set(classes)), sorted(set(classes) - set(labels))
        if lacking or extra:
            places = [f"only train has {summarize(lacking)}"] if lacking else []
            places += [f"only {split} has {summarize(extra)}"] if extra else []
            raise TrainingFailed(
                f"The classes of {split} and of train differ: {'; '.join(places)}. Give both the "
                "same folders, with images in each."
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
        examples = "\n  ".join(left_out[:EXAMPLES_SHOWN])
        raise TrainingFailed(
            f"{len(left_out):,} or more of {total:,} images cannot be read:\n  {examples}\n"
            "Repair or remove them, or leave out more of them with --max-unreadable "
            f"{min(1, 5 * share or 0.01):g} (now {share:g})."
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
    """Held-out examples and the rest, selected by content and path: dates do not matter."""
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


def _duplicates(splits: Mapping[str, Iterable[Example]]) -> tuple[str, ...]:
    trained = {example.digest for example in splits["train"]}
    return tuple(
        example.path
        for split, examples in splits.items()
        if split != "train"
        for example in examples
        if example.digest in trained
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
