"""Refuses layouts whose folders are probably no classes, with a sentence that says what to do.

To train on the wrong classes is worse than to refuse: splits, folds, shards, masks, domains and
subjects are folders too.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from domain.class_folders import is_split, split_name
from training.config.errors import TrainingFailed
from training.data.folders import ANNOTATIONS, FolderLayout, class_called, inside, join
from training.data.listing import folders_in, holds_images, is_image

IMAGE_FOLDERS = frozenset(("images", "image", "imgs", "img", "jpegimages", "photos", "pictures"))
"""Names of folders that hold the images of a data set, and not one class."""

SHARDS = frozenset(
    (
        *("fold", "folds", "kfold", "cv", "split", "part", "batch", "shard", "chunk", "subset"),
        *("images", "image", "imgs", "img", "data", "dataset", "archive"),
    )
)
"""Words before the number of a folder that holds a part of all classes."""


def refuse_ambiguous(layout: FolderLayout) -> None:
    """Raises TrainingFailed."""
    if list(layout.tops) == ["train"] and layout.tops["train"] != layout.root:
        _refuse_class_called_train(layout.root, layout.tops["train"])
    for split, top in layout.tops.items():
        labels = list(layout.splits[split])
        _refuse_annotations(top, labels)
        _refuse_shards(top, labels)
        _refuse_inner_splits(top)
    _refuse_groups(layout)


def _refuse_class_called_train(root: Path, train: Path) -> None:
    """`bus/`, `car/` and `train/` may be three classes."""
    others = [
        folder.name
        for folder in folders_in(root)
        if not train.is_relative_to(folder) and not split_name(folder.name) and holds_images(folder)
    ]
    if others:
        name = train.relative_to(root).parts[0]
        raise TrainingFailed(
            f"{root} has {name} beside {join(others)}: it may be the training split, or a class. "
            f"{class_called(name)} Otherwise move {join(others)} away."
        )


def _refuse_annotations(top: Path, labels: Sequence[str]) -> None:
    names = {label.casefold() for label in labels}
    if len(names) > 1 and names & ANNOTATIONS and names <= IMAGE_FOLDERS | ANNOTATIONS:
        raise TrainingFailed(
            f"{join(labels)} of {top} are no classes: they are the parts of a data set for "
            "detection or segmentation. Put the images into a folder per class."
        )


def _refuse_shards(top: Path, labels: Sequence[str]) -> None:
    numbered: dict[str, list[str]] = {}
    for label in labels:
        match = re.fullmatch(r"(.*?)[\W_]*\d+", label.casefold())
        if match and re.split(r"[\W\d_]+", match[1])[-1] in SHARDS:
            numbered.setdefault(match[1], []).append(label)
    shards = next((names for names in numbered.values() if len(names) > 1), None)
    if shards:
        raise TrainingFailed(
            f"{join(shards)} of {top} look like folds or parts of one data set, not like classes. "
            "Put the folders of the classes, with the images of all parts, into train, validation "
            "and test. If they are classes, give them other names."
        )


def _refuse_inner_splits(top: Path) -> None:
    """A class with a folder for each split: `cat/train/`."""
    for folder in folders_in(top):
        inner = [path.name for path in folders_in(folder) if is_split(path.name)]
        if len(inner) > 1:
            raise TrainingFailed(
                f"{folder} holds {join(inner)}: splits are the outer folders. Move the images to "
                f"{inner[0]}/{folder.name}, {inner[1]}/{folder.name} and so on."
            )


def _refuse_groups(layout: FolderLayout) -> None:
    """Folders of folders: of alphabets with characters, of domains or subjects with classes.

    The images of a class may lie in several folders below its own, but not those of most classes,
    nor where no class has any images of its own.
    """
    several: list[str] = []
    count = direct = 0
    for split, classes in layout.splits.items():
        top = layout.tops[split].relative_to(layout.root)
        for label, files in classes.items():
            pictures = [file for file in files if is_image(PurePosixPath(file).name)]
            below = {inside(file, label, top)[:-1] for file in pictures}
            count += bool(below)
            direct += () in below
            if len(below) > 1 and () not in below:
                several.append(label)
    if several and (direct == 0 or 2 * len(several) > count):
        raise TrainingFailed(
            f"{join(several)} in {layout.root} hold only folders, so that it is not clear which "
            "folders are the classes. If the inner ones are: put all of them side by side into one "
            f"folder. If {several[0]} is a class: move its images out of its inner folders."
        )
