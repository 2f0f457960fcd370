"""Every command: its help, its options, and what it says to a misspelt one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cli.__main__ import GROUPS, sortbox
from cli.parameters import REPOSITORY, option_name
from domain.instance import UnfitInstanceError
from infra.local.place import Place, Ports
from infra.stacks import stage_parameters
from training.config.hyperparameter import flag
from training.config.train_config import TrainConfig

HEAVY = ("torch", "cv2", "sagemaker", "numpy", "PIL", "openvino", "boto3", "rich")

COMMANDS = sorted(sortbox.commands)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(sortbox, list(arguments), prog_name="sortbox")


def context_of(command: click.Command) -> click.Context:
    """A command keeps the option for help of its first context: with the names of the group."""
    names = sortbox.context_settings["help_option_names"]
    return click.Context(command, help_option_names=names)


def options(name: str) -> Iterator[str]:
    command = sortbox.commands[name]
    for parameter in command.get_params(context_of(command)):
        if isinstance(parameter, click.Option):
            yield from (option for option in parameter.opts if option.startswith("--"))


def test_the_commands_are_those_that_users_know() -> None:
    expected = "demo up down status logs train tune promote rollback reclassify review cost deploy"
    missing = {*expected.split(), "image", "doctor", "verify", "remove"} - set(COMMANDS)
    assert not missing, f"the README and people's scripts name these commands: {missing}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    for parameter in sortbox.commands[name].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.opts[0] in result.output


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Seconds before the first word are what made people think that nothing happened."""
    script = (
        "import sys; from cli.__main__ import sortbox\n"
        f"sortbox.main({arguments!r}, standalone_mode=False)\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_misspelt_option_is_answered_with_the_nearest(name: str) -> None:
    for option in options(name):
        misspelt = option[:-1] + "q"
        result = run(name, misspelt, "1")
        assert result.exit_code == 2, f"{name} {misspelt} was taken"
        assert option in result.output, f"{name} {misspelt} does not suggest {option}"


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_in_capitals_is_never_ignored(name: str) -> None:
    """`EPOCHS=4` is how make has it; make dropped what it did not know without a word."""
    result = run(name, "NO_SUCH_THING=1")
    assert result.exit_code == 2
    assert "NO_SUCH_THING" in result.output


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("EPOCHS=4", "write it as `--epochs 4`"),
        ("lr=0.01", "write it as `--lr 0.01`"),
        ("BATCH_SIZE=8", "write it as `--batch-size 8`"),
        ("SPOT=0", "write it as `--spot`"),
        ("EPOCH=4", "Did you mean 'epochs'?"),
    ],
)
def test_makes_form_is_translated(word: str, sentence: str) -> None:
    result = run("train", "photos", word)
    assert (result.exit_code, sentence in result.output) == (2, True), result.output


@pytest.mark.parametrize("name", ["trian", "statsu", "demmo", "roll-back"])
def test_a_misspelt_command_is_answered_with_the_nearest(name: str) -> None:
    result = run(name)
    assert result.exit_code == 2
    assert "Did you mean" in result.output


def test_weights_that_are_no_file_here_are_named_as_such() -> None:
    """It said that weights must be one of pretrained and none: the path had a typing error."""
    result = run("train", "photos", "--weights", "weigths/resnet50.pth")
    assert result.exit_code == 2
    assert "'weigths/resnet50.pth' is no file here" in result.output
    assert "must be one of pretrained, none" in run("train", "x", "--weights", "non").output


@pytest.mark.parametrize("text", ["20k", "20K", "20,000", "20_000", "0.02M", "20000"])
def test_a_number_of_images_is_read_as_people_write_it(text: str) -> None:
    result = run("cost", "--images-per-day", text, "--json")
    assert (result.exit_code, result.output) == (
        0,
        run("cost", "--images-per-day", "20000", "--json").output,
    )


@pytest.mark.parametrize(
    "text", ["many", "0", "-5", "1.5", "1e400", "k", "nan", "2kk", "20.000", "2,5k"]
)
def test_what_is_no_number_of_images_is_refused(text: str) -> None:
    result = run("cost", f"--images-per-day={text}")
    assert (result.exit_code, "is no number of images: 20000 or 20k" in result.output) == (2, True)


def test_a_flag_takes_no_value() -> None:
    """`SPOT=0` and `YES=0` once meant yes."""
    for name, option in [("train", "--spot"), ("remove", "--yes"), ("reclassify", "--dry-run")]:
        result = run(name, f"{option}=0")
        assert result.exit_code == 2
        assert "does not take a value" in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "photos", "--optimizer", "adamx"], "Did you mean 'adamw'?"),
        (["train", "photos", "--epochs", "many"], "a whole number from 1"),
        (["train", "photos", "--lr", "0.001:0.1"], "must be a number"),
        (["train", "photos", "--weights", "no-such.pth"], "'no-such.pth' is no file here"),
        (["tune", "photos", "--lr", "0.1:0.01"], "must be ascending"),
        (["tune", "photos", "--strategy", "bayesian"], "Did you mean 'Bayesian'?"),
        (["remove", "--stage", "dev", "--bucket", "delte"], "Did you mean 'delete'?"),
        (["reclassify", "--kind", "renewl"], "Did you mean 'renewal'?"),
        (["status", "--stage", "Dev!"], "a stage is 1 to 8 of a-z and 0-9"),
        (["deploy", "--stage", "image"], "no stage can be 'image'"),
        (["train", "s3://b/p", "--name", "pets-"], "Hyperparameter name must be of the form"),
        (["deploy", "--stage", "dev", "--page-concurrency", "x"], "not a valid integer"),
        (["deploy"], "Missing option '--stage'"),
        (["remove", "--stage", "dev", "--images", "--logs"], "pass --yes to confirm"),
        (["remove"], "Missing option '--stage'"),
        (["cost"], "Missing option '--images-per-day'"),
        (["cost", "--images-per-day", "0"], "'0' is no number of images"),
        (["reclassify", "--json"], "--json goes with --dry-run"),
        (["promote", "--archive", __file__], "--archive needs --tests"),
        (["train", "no-such-folder"], "is no folder here"),
        (["review", "--corrections", "--model", "any"], "takes images of any model, and no list"),
        (["review", "--corrections", "--list", "x.csv"], "takes images of any model, and no list"),
        (["verify", "--account", "fresh"], "--account goes with --stage local"),
    ],
)
def test_a_wrong_value_is_a_sentence(arguments: list[str], sentence: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert sentence in " ".join(result.output.split())


def test_the_environment_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`BUCKET=delete` in a shell once deleted the data."""
    for name in ("BUCKET", "YES", "STAGE", "SORTBOX_BUCKET_OPTION"):
        monkeypatch.setenv(name, "delete")
    for command in sortbox.commands.values():
        context = context_of(command)
        for parameter in command.get_params(context):
            assert parameter.value_from_envvar(context) is None


def test_every_hyperparameter_is_an_option_and_few_of_them_are_shown() -> None:
    shown, advanced = run("train", "--help").output, run("train", "--help-advanced").output
    names = [f"--{flag(each)}" for each in fields(TrainConfig)]
    assert [name for name in names if name not in advanced] == []
    assert 10 <= sum(f"{name} " in shown for name in names) <= 20
    assert run("train", "--help").output == shown, "a page that was shown changes no later one"
    assert set(names) <= set(options("train")) & set(options("tune"))


def test_every_setting_of_a_stage_is_an_option_of_deploy() -> None:
    params = stage_parameters.params(REPOSITORY / "serverless.yml", "default")
    assert {f"--{option_name(name)}" for name in params} <= set(options("deploy"))


def test_deploy_says_what_each_setting_means() -> None:
    template = REPOSITORY / "serverless.yml"
    shown = "".join(run("deploy", "--help").output.split())
    meanings = stage_parameters.meanings(template)
    assert meanings.keys() == stage_parameters.params(template, "default").keys()
    assert not [meaning for meaning in meanings.values() if "".join(meaning.split()) not in shown]


def test_every_command_is_in_one_group_of_the_help() -> None:
    grouped = [command.name for group in GROUPS.values() for command in group]
    assert len(grouped) == len(set(grouped))
    assert set(COMMANDS) - set(grouped) == {"completion"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_SORTBOX_COMPLETE" in result.output


def test_the_version_is_the_projects() -> None:
    assert run("--version").output.startswith("sortbox, version 0.")


@pytest.mark.parametrize("command", ["train", "tune", "promote", "rollback", "image", "verify"])
def test_each_command_that_bills_says_what_it_costs(command: str) -> None:
    assert "--cost" in options(command)


@pytest.mark.parametrize("command", ["promote", "rollback", "image"])
def test_what_a_command_costs_is_said_without_starting_it(command: str) -> None:
    """No credentials are needed for it: nothing speaks to AWS."""
    result = run(command, "--stage", "dev", "--cost", "json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert document["most"] > 0
    assert run(command, "--stage", "dev", "--cost", "text").output.strip() == document["sentence"]


def test_the_local_cloud_costs_nothing() -> None:
    result = run("promote", "--stage", "local", "--cost", "json")
    assert (result.exit_code, json.loads(result.output)["most"]) == (0, 0.0)


def test_costs_can_be_read_by_a_script() -> None:
    result = run("cost", "--images-per-day", "1000", "--json")
    assert set(json.loads(result.output)) == {
        *("endpoint", "batch", "serverless", "asynchronous", "gathered")
    }


@pytest.mark.parametrize("command", ["status", "doctor", "rollback"])
@pytest.mark.parametrize(
    ("was_up", "sentence"),
    [(False, "There is no local cloud yet."), (True, "The local cloud is down.")],
    ids=["never", "down"],
)
def test_a_local_cloud_that_is_not_up_is_a_sentence(
    tmp_path: Path, command: str, was_up: bool, sentence: str
) -> None:
    place = Place(tmp_path)
    if was_up:
        Ports(1, 2).write(place.folder() / "ports.json")
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "cli"), command],
        env={**os.environ, "SORTBOX_LOCAL": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == f"{sentence} Run `./sortbox up` first.\n"


def test_an_instance_type_without_training_is_not_passed_over() -> None:
    result = run("image", "--stage", "dev", "--instance-type", "ml.g4dn.xlarge")
    assert result.exit_code == 2
    assert "--instance-type goes with --training" in result.output


def test_an_image_for_a_gpu_that_cannot_work_is_refused_before_aws_is_asked() -> None:
    result = run("image", "--stage", "dev", "--training", "--instance-type", "ml.p3.2xlarge")
    assert isinstance(result.exception, UnfitInstanceError)
