"""What a person asks for on the command line, before anything is sent or started."""

import argparse
import re
from pathlib import Path

import pytest

from training.config import TrainConfig
from training.failure import TrainingFailed
from training.launch import Asked, asked, run_id

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def given(*words: str) -> Asked:
    return asked(
        argparse.Namespace(
            stage="dev",
            image="image@sha256:1",
            data="photos",
            instance_type="ml.m5.xlarge",
            spot=False,
            managed_debugger=False,
            hyperparameters=list(words),
        )
    )


def test_make_knows_every_hyperparameter_by_its_name_in_capitals() -> None:
    listed = re.search(r"^hyperparameters = ((?:.|\\\n)*?[^\\])\n", MAKEFILE.read_text(), re.M)
    assert listed is not None
    names = [name for name in listed[1].split() if name != "\\"]
    config = TrainConfig().to_strings()
    assert [name.lower().replace("_", "-") for name in names] == list(config)


def test_hyperparameters_are_told_as_make_has_them() -> None:
    told = given("LR=0.01", "BATCH_SIZE=64", "ARCH=resnet50").told
    assert (told.lr, told.batch_size, told.arch) == (0.01, 64, "resnet50")


def test_weights_are_a_word_or_a_file() -> None:
    assert given("WEIGHTS=none").told.weights == "none"
    asked = given("WEIGHTS=resnet50.pth")
    assert (asked.weights, asked.told.weights) == ("resnet50.pth", "pretrained")


def test_a_wrong_hyperparameter_is_told_before_anything_starts() -> None:
    with pytest.raises(TrainingFailed, match="Is lr meant"):
        given("LRR=0.1")


def test_the_same_words_go_on_from_the_same_checkpoints_and_others_do_not() -> None:
    channels = {"data": "s3://bucket/data/1/"}
    first = run_id(given("LR=0.1"), channels)
    assert run_id(given("LR=0.1"), channels) == first
    assert run_id(given("LR=0.1", "DECODERS=4"), channels) == first
    assert run_id(given("LR=0.2"), channels) != first
    assert run_id(given("LR=0.1"), {"data": "s3://bucket/data/2/"}) != first
