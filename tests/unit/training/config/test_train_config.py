import json
from dataclasses import fields
from pathlib import Path

import pytest

from training.config import train_config
from training.config.errors import TrainingFailed
from training.config.hyperparameter import Categorical, Continuous, flag
from training.config.train_config import TrainConfig


def test_the_names_a_tuner_uses_are_understood() -> None:
    told = TrainConfig.from_strings({"lr": "0.01", "batch-size": "64"})
    assert (told.lr, told.batch_size) == (0.01, 64)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("12.5%", 0.125)])
def test_a_share_may_be_a_percentage(text: str, share: float) -> None:
    assert TrainConfig.from_strings({"max-error": text}).max_error == share


@pytest.mark.parametrize(
    ("name", "text"),
    [("max-error", "51%"), ("max-error", "%"), ("batch-size", "5%"), ("clip", "5%")],
)
def test_what_is_no_share_may_not(name: str, text: str) -> None:
    with pytest.raises(TrainingFailed, match=f"Hyperparameter {name} must be"):
        TrainConfig.from_strings({name: text})


def test_what_is_written_is_read_back() -> None:
    told = TrainConfig(name="pets", arch="resnet50", lr=3e-5, epochs=7, patience=2, cutmix=1.0)
    told = TrainConfig.from_strings(told.to_strings() | {"unfreeze": "all"})
    assert TrainConfig.from_strings(told.to_strings()) == told


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lr", "fast"),
        ("lr", "nan"),
        ("lr", "0"),
        ("lr", "-0.1"),
        ("batch-size", "3.5"),
        ("batch-size", "0"),
        ("epochs", "ten"),
        ("optimizer", "adam"),
        ("unfreeze", ""),
        ("label-smoothing", "1"),
        ("name", "My Pets"),
        ("name", "pets-"),
        ("name", "-pets"),
        ("name", "p" * 41),
        ("arch", "../resnet50"),
    ],
)
def test_a_bad_hyperparameter_is_named(name: str, text: str) -> None:
    with pytest.raises(TrainingFailed, match=f"Hyperparameter {name} must be .*{text[:20]}"):
        TrainConfig.from_strings({name: text})


def test_an_unknown_hyperparameter_is_named_with_the_one_that_may_be_meant() -> None:
    with pytest.raises(TrainingFailed, match=r"'batch_size'\. Is batch-size meant"):
        TrainConfig.from_strings({"batch_size": "32"})


def test_what_the_platform_adds_is_left_to_it() -> None:
    added = {"sagemaker_program": "train.py", "_tuning_objective_metric": "validation_accuracy"}
    assert TrainConfig.from_strings(added) == TrainConfig()


def test_pasting_images_is_refused_where_only_features_are_learnt() -> None:
    with pytest.raises(TrainingFailed, match="cutmix"):
        TrainConfig.from_strings({"cutmix": "1"})
    assert TrainConfig.from_strings({"cutmix": "1", "unfreeze": "all"}).cutmix == 1


def test_a_file_of_strings_is_read_and_flags_win(tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.json"
    path.write_text(json.dumps({"lr": "0.1", "epochs": '"5"', "optimizer": '"sgd"'}))
    told = train_config.read(path, ["--lr", "0.2"])
    assert (told.lr, told.epochs, told.optimizer) == (0.2, 5, "sgd")
    assert train_config.read(tmp_path / "absent.json", []) == TrainConfig()


def test_a_file_that_is_none_is_told_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.json"
    for text in ("{", "[]"):
        path.write_text(text)
        with pytest.raises(TrainingFailed, match=r"hyperparameters\.json"):
            train_config.read(path, [])


def test_every_flag_says_what_it_means_and_starts_from_its_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        train_config.read(Path("absent"), ["--help"])
    shown = capsys.readouterr().out
    for each in fields(TrainConfig):
        assert f"--{flag(each)} " in shown
        assert each.metadata["means"]


def test_the_search_space_lies_within_what_is_accepted() -> None:
    space = train_config.search_space()
    assert space["batch-size"] == Categorical(("32", "64", "128"))
    for name, dimension in space.items():
        match dimension:
            case Continuous(low, high):
                ends = [str(low), str(high)]
            case Categorical(values):
                ends = list(values)
        for end in ends:
            TrainConfig.from_strings({name: end})


def test_the_documentation_lists_every_hyperparameter_as_it_is() -> None:
    text = (Path(__file__).parents[4] / "docs/reference/hyperparameters.md").read_text()
    for each in fields(TrainConfig):
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `{flag(each)}` | `"))
        assert f"| `{each.default}` |" in row
        assert row.endswith(f"| {each.metadata['means']} |")
