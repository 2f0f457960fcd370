"""A model archive on a folder of labelled images, by the engine that serves it.

`python -m training.evaluation.archive model.tar.gz test/ [--against active.tar.gz]
[--predictions out.csv]`
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from domain.foreign import visible
from domain.model import ModelCard
from serving.archive import ModelLoadError
from training.config.errors import TrainingFailed
from training.data import dataset, folders
from training.data.dataset import Example
from training.evaluation import accuracy, confined
from training.evaluation.accuracy import Judgement
from training.model.mcnemar import Paired
from training.model.package import PackageError


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
    found = list(dataset.examined(root, classes, labels, lambda: None))
    examples = tuple(each for each in found if isinstance(each, Example))
    if not examples:
        raise TrainingFailed(f"{folder} holds no image that can be read.")
    left_out = tuple(each for each in found if isinstance(each, str))
    return TestSet(root, labels, examples, left_out)


def evaluate(packed: Path, tests: TestSet) -> tuple[ModelCard, Judgement]:
    """Rows in the order of `tests.examples`, labels numbered as on the card.

    The archive may be anybody's: a confined process reads it. Raises TrainingFailed where a
    folder's name is none of the model's labels, PackageError, and ModelLoadError.
    """
    try:
        card, rows = confined.judged(packed, tests.root, tests.examples, tests.labels)
    except confined.UnknownLabels as error:
        raise TrainingFailed(str(error)) from error
    return card, accuracy.of(rows)


def compare(candidate: Judgement, other: Judgement) -> Paired:
    """Both on the same test set, in the same order."""
    wins = int((candidate.right & ~other.right).sum())
    return Paired(wins, int((other.right & ~candidate.right).sum()))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.archive", description=__doc__
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("tests", type=Path, help="a folder a class, or a data set with test/")
    parser.add_argument("--against", type=Path, help="another archive, judged on the same images")
    parser.add_argument("--predictions", type=Path, help="where a CSV with a row an image goes")
    told = parser.parse_args(arguments)
    try:
        tests = read(told.tests)
        card, found = evaluate(told.archive, tests)
        if told.predictions:
            accuracy.write(told.predictions, found, tests.examples, card.labels)
        result: dict[str, object] = {"digest": card.digest, **found.metrics()}
        result["left_out"] = len(tests.left_out)
        if told.against:
            _, other = evaluate(told.against, tests)
            paired = compare(found, other)
            result["against"] = {**other.metrics(), **asdict(paired), "p_value": paired.p_value}
    except (TrainingFailed, PackageError, ModelLoadError) as error:
        print(visible(str(error)), file=sys.stderr)
        return 1
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
