"""Nothing of a request becomes a word of a command by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.__main__ import sortbox
from console.actions.verbs import VERBS, FieldError, order_for
from console.context import Console
from domain.errors import SortboxError
from tests.support.worlds.consoles import mocked_console


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with mocked_console(tmp_path_factory.mktemp("console")) as console:
        yield console


ODD = [
    "--help",
    "-h",
    "a b",
    "a;reboot",
    "$(reboot)",
    "`id`",
    "a\nb",
    "a\0b",
    "../x",
    "'",
    "\ud800",
]
FORMS: dict[str, dict[str, str]] = {
    "reclassify": {"prefix": "inbox/trip/", "kind": "unanswered", "dry_run": "on"},
    "halt": {},
    "preview": {"job": "sortbox-dev-dogs-1"},
    "promote": {"job": "sortbox-dev-dogs-1", "replace_labels": "on", "override": "they want it"},
    "rollback": {},
    "train": {"data": "s3://bucket/photos/", "epochs": "3", "spot": "on", "max_hours": "2"},
    "tune": {"data": "s3://bucket/photos/", "lr": "0.001:0.1", "batch-size": "32,64"},
    "train-corrections": {"data": "s3://bucket/photos/"},
    "stop": {"job": "sortbox-dev-dogs-1"},
    "doctor": {},
    "redrive": {"queue": "job-event"},
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_command_line_takes_every_word(console: Console, verb: str) -> None:
    """What a button runs is a command that there is, with options that it has."""
    for command, *words in order_for(console, verb, FORMS[verb]).commands:
        found = sortbox.commands[command]
        shown = [word for word in words if not word.startswith(str(console.folder.absolute()))]
        shown += ["/"] * (len(words) - len(shown))  # the folders come to be
        names = sortbox.context_settings["help_option_names"]
        context = found.make_context(command, shown, help_option_names=names)
        assert context.params["stage"].name == "dev"


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize("verb", VERBS)
def test_an_odd_value_is_refused_or_one_word_of_an_option(
    console: Console, verb: str, odd: str
) -> None:
    plain = order_for(console, verb, FORMS[verb]).commands
    for name in FORMS[verb]:
        try:
            commands = order_for(console, verb, FORMS[verb] | {name: odd}).commands
        except SortboxError:
            continue
        for before, after in zip(plain, commands, strict=True):
            assert len(after) <= len(before), "a value made another word"
            for word in set(after) - set(before):
                assert word.startswith(f"--{name}=") or word == odd.strip() == "", word


@pytest.mark.parametrize(
    ("verb", "values"),
    [
        ("deploy", {}),
        ("remove", {}),
        ("stop", {"job": "-x"}),
        ("stop", {}),
        ("promote", {"job": "a" * 64}),
        ("promote", {"job": "a", "override": "x" * 301}),
        ("redrive", {"queue": "inbox-dead"}),
        ("reclassify", {"prefix": "outbox/"}),
        ("reclassify", {"prefix": "inbox/" + "x" * 1024}),
        ("reclassify", {"kind": "all"}),
        ("train", {}),
        ("train", {"data": "s3://"}),
        ("train", {"data": "s3://Bad_Bucket/x"}),
        ("train", {"data": "/nowhere/at/all"}),
        ("train", {"data": "s3://bucket/x", "max_hours": "nan"}),
        ("train", {"data": "s3://bucket/x", "max_hours": "1e9"}),
        ("train", {"data": "s3://bucket/x", "instance_type": "ml.m5.xlarge --spot"}),
    ],
)
def test_a_wrong_field_is_a_sentence(console: Console, verb: str, values: dict[str, str]) -> None:
    with pytest.raises(FieldError) as error:
        order_for(console, verb, values)
    assert str(error.value).endswith((".", "?"))


def test_a_hyperparameter_is_checked_as_training_checks_it(console: Console) -> None:
    data = {"data": "s3://bucket/photos/"}
    with pytest.raises(SortboxError, match="lr must be a number from"):
        order_for(console, "train", data | {"lr": "fast"})
    with pytest.raises(SortboxError, match="lr must be a number from"):
        order_for(console, "train", data | {"lr": "0.1:0.2"})
    [words] = order_for(console, "train", data | {"lr": "0.02", "epochs": ""}).commands
    assert words == (
        *("train", "--stage=dev", "--lr=0.02", "--instance-type=ml.m5.xlarge", "--max-hours=24"),
        *("--", "s3://bucket/photos/"),
    )


def test_training_on_corrections_is_three_commands(console: Console, tmp_path: Path) -> None:
    order = order_for(console, "train-corrections", {"data": str(tmp_path), "epochs": "4"})
    below = console.folder.absolute() / "data"
    assert order.commands[:2] == (
        ("review", "--stage=dev", "--corrections", f"--out={below / 'corrections'}"),
        (
            *("join", "--stage=dev", f"--out={below / 'joined'}"),
            *("--", str(tmp_path), str(below / "corrections")),
        ),
    )
    train = order.commands[2]
    assert (train[0], train[-1], "--epochs=4" in train) == ("train", str(below / "joined"), True)
    assert order.clears == below


def test_what_changes_the_model_or_starts_jobs_is_exclusive(console: Console) -> None:
    alone = {verb for verb in VERBS if order_for(console, verb, FORMS[verb]).is_exclusive}
    assert alone == {"promote", "rollback", "train", "tune", "train-corrections"}
    assert order_for(console, "reclassify", {}).is_exclusive
