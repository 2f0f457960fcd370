"""Evaluates a model archive on a folder of labelled images, with the engine that serves it.

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
from training.evaluation.accuracy import Evaluation
from training.model.mcnemar import PairedCounts
from training.model.package import PackageError


@dataclass(frozen=True, slots=True)
class TestSet:
    __test__ = False  # pytest must not collect it

    root: Path
    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    left_out: tuple[str, ...]


def read_test_set(folder: Path) -> TestSet:
    """The split `test` of a data set, or a folder per class. Raises TrainingFailed."""
    layout = folders.read_layout(folder)
    if "test" not in layout.splits and layout.tops["train"] != layout.root:
        raise TrainingFailed(
            f"{folder} has no test: name the folder whose images evaluate the model."
        )
    root, classes = layout.root, layout.splits.get("test", layout.splits["train"])
    labels = tuple(classes)
    examined = list(dataset.examine(root, classes, labels, lambda: None))
    examples = tuple(result for result in examined if isinstance(result, Example))
    if not examples:
        raise TrainingFailed(f"{folder} has no readable image.")
    left_out = tuple(result for result in examined if isinstance(result, str))
    return TestSet(root, labels, examples, left_out)


def evaluate(packed: Path, tests: TestSet) -> tuple[ModelCard, Evaluation]:
    """Rows in the order of `tests.examples`, labels numbered as on the card.

    The archive is untrusted: a confined process reads it. Raises TrainingFailed if a folder is not
    one of the model's labels, PackageError, and ModelLoadError.
    """
    try:
        card, rows = confined.evaluate(packed, tests.root, tests.examples, tests.labels)
    except confined.UnknownLabelsError as error:
        raise TrainingFailed(str(error)) from error
    return card, accuracy.from_rows(rows)


def compare(candidate: Evaluation, other: Evaluation) -> PairedCounts:
    """Both on the same test set, in the same order."""
    wins = int((candidate.correct & ~other.correct).sum())
    return PairedCounts(wins, int((other.correct & ~candidate.correct).sum()))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.archive", description=__doc__
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("tests", type=Path, help="a folder per class, or a data set with test/")
    parser.add_argument(
        "--against", type=Path, help="another archive, evaluated on the same images"
    )
    parser.add_argument(
        "--predictions", type=Path, help="write a CSV with a row per image to this file"
    )
    args = parser.parse_args(arguments)
    try:
        tests = read_test_set(args.tests)
        card, evaluation = evaluate(args.archive, tests)
        if args.predictions:
            accuracy.write_predictions(args.predictions, evaluation, tests.examples, card.labels)
        result: dict[str, object] = {"digest": card.digest, **evaluation.metrics()}
        result["left_out"] = len(tests.left_out)
        if args.against:
            _, other = evaluate(args.against, tests)
            paired = compare(evaluation, other)
            result["against"] = {**other.metrics(), **asdict(paired), "p_value": paired.p_value}
    except (TrainingFailed, PackageError, ModelLoadError) as error:
        print(visible(str(error)), file=sys.stderr)
        return 1
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
