"""How much of what is planted in a data set its check finds, and how long it takes.

`python -m benchmarks.data_check photos/ [--share 0.05] [--rounds 3]`

Of every held-out image a copy goes into train: recompressed, reduced, mirrored or brighter.
Then, without the copies, a share of all images gets another label. The data sets are made of links.
"""

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from PIL import Image, ImageEnhance

from domain.class_folders import folder_of
from training.data.dataset import Dataset
from training.findings import check as checking
from training.findings.finding import DataFinding

COPIES = ("recompressed", "reduced", "mirrored", "mirrored and reduced", "brighter")

QUALITY = 40
"""Of the copies' JPEG files."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_check", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=3)
    settings = parser.parse_args(arguments)
    dataset = checking.load(settings.data, lambda: None)
    began, used = time.monotonic(), time.process_time()
    before = _check(settings.data)
    count = sum(len(examples) for examples in dataset.splits.values())
    print(
        f"{count:,} images: {time.monotonic() - began:.1f} s, {time.process_time() - used:.1f} s "
        f"of processor time; {len(before)} findings"
    )
    known = {one.path for one in before if one.finding == "leak"}
    with tempfile.TemporaryDirectory() as name:
        _link(dataset, Path(name), {})
        planted = _plant_copies(Path(name))
        leaks = {one.path: one.other for one in _check(Path(name)) if one.finding == "leak"}
        hits = sum(leaks.get(copy) == original for copy, original in planted.items())
        others = len(leaks.keys() - planted.keys() - known)
        print(f"copies across splits: {hits} of {len(planted)} found, {others} others named")
    for seed in range(settings.rounds):
        with tempfile.TemporaryDirectory() as name:
            labels = _wrong_labels(dataset, settings.share, seed)
            paths = _link(dataset, Path(name), labels)
            errors = [one.path for one in _check(Path(name), -9.0) if one.finding == "label_error"]
            first = set(errors[: 2 * len(labels)])
            hits = sum(paths[path] in first for path in labels)
            print(
                f"wrong labels, seed {seed}: {hits} of {len(labels)} ({hits / len(labels):.3f}) in "
                f"the first {2 * len(labels)}"
            )
    return 0


def _check(folder: Path, label_doubt: float = checking.LABEL_DOUBT) -> list[DataFinding]:
    dataset = checking.load(folder, lambda: None)
    return checking.check(dataset, lambda step, done, of: None, label_doubt)


def _link(dataset: Dataset, root: Path, labels: dict[str, str]) -> dict[str, str]:
    """Link to every image, with its own label or that in `labels`; the new paths by the old."""
    paths = {}
    for split, examples in dataset.splits.items():
        for number, example in enumerate(examples):
            label = labels.get(example.path, dataset.labels[example.label])
            target = root / split / folder_of(label) / f"{number}{Path(example.path).suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to((dataset.root / example.path).resolve())
            paths[example.path] = target.relative_to(root).as_posix()
    return paths


def _plant_copies(root: Path) -> dict[str, str]:
    """The path of the original by that of the copy."""
    planted = {}
    held_out = [path for path in sorted(root.glob("*/*/*")) if path.parts[-3] != "train"]
    for number, path in enumerate(held_out):
        kind = COPIES[number % len(COPIES)]
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        if "mirrored" in kind:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if "reduced" in kind:
            image = image.resize((max(1, image.width * 2 // 5), max(1, image.height * 2 // 5)))
        if kind == "brighter":
            image = ImageEnhance.Brightness(image).enhance(1.1)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY)
        copy = root / "train" / path.parent.name / f"copy-{number}.jpg"
        copy.write_bytes(buffer.getvalue())
        planted[copy.relative_to(root).as_posix()] = path.relative_to(root).as_posix()
    return planted


def _wrong_labels(dataset: Dataset, share: float, seed: int) -> dict[str, str]:
    random = Random(seed)
    examples = [example for listed in dataset.splits.values() for example in listed]
    chosen = random.sample(examples, round(share * len(examples)))
    return {
        example.path: random.choice(
            [label for number, label in enumerate(dataset.labels) if number != example.label]
        )
        for example in chosen
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
