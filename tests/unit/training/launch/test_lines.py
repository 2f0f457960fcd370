"""What a person sees of a job's log."""

from training.config import metrics
from training.config.errors import FAILURE_LINE
from training.launch.watching.lines import HEAD, LogLines

EPOCH = {
    "train_loss": 1.086749,
    "train_accuracy": 0.2125,
    "validation_loss": 0.9766134,
    "validation_accuracy": 0.7166667,
    "test_loss": 0.978746,
    "test_accuracy": 0.6833333,
    "seconds": 0.04983801,
}


def shown(lines: LogLines, *log: str) -> list[str]:
    return [line for each in log for line in lines.read(each)]


def test_epochs_are_a_table_with_one_head_that_fits_a_terminal() -> None:
    lines = LogLines(10_000)
    log = [metrics.line({"epoch": float(epoch), **EPOCH}) for epoch in (1, 2, 10_000)]
    head, *rows = shown(lines, *log)
    assert head == HEAD
    assert [len(row) for row in rows] == [len(HEAD)] * 3
    assert len(HEAD) <= 80
    assert rows[0].split() == ["1/10,000", "1.0867", "0.2125", "0.9766", "0.7167", "0.0"]
    assert lines.epoch == 10_000


def test_an_image_of_other_sources_may_measure_less() -> None:
    row = shown(LogLines(3), "epoch=1 validation_loss=0.5 validation_accuracy=0.75")[-1]
    assert row.split() == ["1/3", "-", "-", "0.5000", "0.7500", "0.0"]


def test_the_test_split_is_not_shown_an_epoch() -> None:
    """Whoever chooses by it has none left."""
    lines = LogLines(3)
    text = "\n".join(shown(lines, metrics.line({"epoch": 1.0, **EPOCH})))
    assert "0.6833" not in text
    assert "0.9787" not in text


def test_figures_that_are_in_the_table_or_the_result_are_not_repeated() -> None:
    lines = LogLines(3)
    log = ["step=1 loss=1.1 lr=0.001", "final_accuracy=0.9 final_loss=0.3", "1:epoch=1 1:x=2"]
    assert shown(lines, *log, "", FAILURE_LINE + "The loss became nan.") == []


def test_what_the_job_does_is_said_and_stands_beside_the_bar() -> None:
    lines = LogLines(3)
    assert shown(lines, "features of 1024 of 5000 images") == ["  features of 1024 of 5000 images"]
    assert lines.doing == "features of 1024 of 5000 images"
    shown(lines, metrics.line({"epoch": 1.0, **EPOCH}))
    assert lines.doing == "trains"
    shown(lines, "writes the reports", "served_accuracy=0.9")
    assert lines.doing == "writes the reports"
