"""A model archive on a folder of labelled images, by the engine that serves it.

`python -m training.evaluate model.tar.gz test/ [--against active.tar.gz] [--predictions out.csv]`
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from domain.model import ModelCard, ModelId
from serving import archive, preprocess
from serving.decode import decode
from serving.engines.pytorch import PyTorch
from serving.files import read_regular
from serving.preprocess import Pixels
from training import data, folders, judgement
from training.data import MAX_BYTES, MAX_PIXELS, Example
from training.failure import TrainingFailed
from training.images import prefetched
from training.judgement import Judgement
from training.package import PackageError, unpack
from training.paired import Paired

AT_ONCE = 16

Engine = Callable[[Pixels, bool], "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]


@dataclass(frozen=True, slots=True)
class TestSet:
    __test__ = False  # no collection of tests, whatever its name says

    root: Path
    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    left_out: tuple[str, ...]


def read(folder: Path) -> TestSet:
    """The split `test` of a data set, or a folder a class. Raises TrainingFailed."""
    root, splits = folders.splits(folder)
    classes = splits.get("test", splits["train"])
    labels = tuple(classes)
    found = list(data.examined(root, classes, labels, lambda: None))
    examples = tuple(each for each in found if isinstance(each, Example))
    if not examples:
        raise TrainingFailed(f"{folder} holds no image that can be read.")
    left_out = tuple(each for each in found if isinstance(each, str))
    return TestSet(root, labels, examples, left_out)


def evaluate(packed: Path, tests: TestSet) -> tuple[ModelCard, Judgement]:
    """Rows in the order of `tests.examples`, labels numbered as on the card.

    Raises TrainingFailed where a folder's name is none of the model's labels.
    """
    with tempfile.TemporaryDirectory(prefix="sortbox-") as scratch:
        card = unpack(packed, Path(scratch))
        strange = sorted(set(tests.labels) - set(card.labels))
        if strange:
            raise TrainingFailed(
                f"{card.name} does not know {len(strange)} of the classes, such as {strange[0]}."
            )
        loaded = archive.read(Path(scratch), ModelId(card.name, 0, card.digest))
        return card, _judged(_engine(loaded), card, tests)


def compare(candidate: Judgement, other: Judgement) -> Paired:
    """Both on the same test set, in the same order."""
    wins = int((candidate.right & ~other.right).sum())
    return Paired(wins, int((other.right & ~candidate.right).sum()))


def _engine(loaded: archive.Archive) -> Engine:
    threads = os.cpu_count() or 1
    if loaded.card.openvino is None:
        return PyTorch(loaded, threads)
    from serving.engines.openvino import OpenVino  # torch's engine does not need it

    return OpenVino(loaded, loaded.card.openvino, threads, AT_ONCE)


def _judged(engine: Engine, card: ModelCard, tests: TestSet) -> Judgement:
    number = {label: index for index, label in enumerate(card.labels)}
    truth = np.array([number[tests.labels[each.label]] for each in tests.examples])
    batches = (
        [partial(_crop, tests.root, card, each) for each in tests.examples[at : at + AT_ONCE]]
        for at in range(0, len(truth), AT_ONCE)
    )
    rows = []
    for at, pixels in enumerate(prefetched(batches, os.cpu_count() or 1)):
        own = truth[at * AT_ONCE : (at + 1) * AT_ONCE]
        rows.append(judgement.rows(engine(pixels, True), own))
    return judgement.of(np.concatenate(rows))


def _crop(root: Path, card: ModelCard, example: Example) -> Pixels:
    numbers = card.preprocessing
    body = read_regular(root / example.path, MAX_BYTES)
    return preprocess.crop(
        decode(body, MAX_PIXELS, preprocess.shorter_side(numbers)).image, numbers
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("tests", type=Path, help="a folder a class, or a data set with test/")
    parser.add_argument("--against", type=Path, help="another archive, judged on the same images")
    parser.add_argument("--predictions", type=Path, help="where a CSV with a row an image goes")
    told = parser.parse_args(arguments)
    try:
        tests = read(told.tests)
        card, found = evaluate(told.archive, tests)
        if told.predictions:
            judgement.write(told.predictions, found, tests.examples, card.labels)
        result: dict[str, object] = {"digest": card.digest, **found.metrics()}
        result["left_out"] = len(tests.left_out)
        if told.against:
            _, other = evaluate(told.against, tests)
            paired = compare(found, other)
            result["against"] = {**other.metrics(), **asdict(paired), "p_value": paired.p_value}
    except (TrainingFailed, PackageError, archive.ModelError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
