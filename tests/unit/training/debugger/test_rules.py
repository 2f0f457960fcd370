"""The debugger's rules, each proven by small trainings that must set it off and that must not."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
import torch
from torch import nn

from tests.support.worlds.watched import CLASSES, FEATURES, Run, fired, layers, made
from training.config import hook_config
from training.debugger.evaluator import ALL_RULES, RuleConfig
from training.debugger.report import ERROR, ISSUE, NO_ISSUE, NOT_APPLICABLE, RuleResult
from training.debugger.rules.base import DebuggerRule
from training.debugger.rules.tensor import ExplodingTensor, StalledTrainingRule
from training.debugger.smdebug_compat import ModeKeys
from training.debugger.tensors import CLASSES_FILE, SavedTensors, write_classes
from training.managed_debugger import rule_job


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RuleResult]:
    run = Run(tmp_path_factory.mktemp("healthy"), layers(2))
    return run.learn(made(160, 2, 0.8), made(100, 3, 0.8))


@pytest.mark.parametrize("rule", hook_config.RULES)
def test_a_rule_is_silent_about_a_training_that_goes_well(
    healthy: dict[str, RuleResult], rule: str
) -> None:
    assert healthy[rule].state == NO_ISSUE, healthy[rule].sentence


def test_rules_have_the_names_that_jobs_are_told() -> None:
    assert tuple(rule.__name__ for rule in ALL_RULES) == hook_config.RULES


def test_a_loss_that_stays_where_it_began_is_found(tmp_path: Path) -> None:
    torch.manual_seed(0)
    unlearnable = torch.randn(160, FEATURES), torch.randint(0, 3, (160,))
    verdicts = Run(tmp_path, layers(1)).learn(unlearnable, lr=1e-6)
    assert fired(verdicts) == {"LossNotDecreasing"}
    assert "it began at" in verdicts["LossNotDecreasing"].sentence


def test_a_loss_that_rises_after_it_fell_is_found(tmp_path: Path) -> None:
    verdicts = Run(tmp_path, layers(2)).learn(made(160, 2, 0.8), lrs=[0.1] * 5 + [12.0] * 5)
    assert "LossNotDecreasing" in fired(verdicts)
    assert (verdicts["LossNotDecreasing"].step or 0) > 50


def test_a_network_that_learns_by_heart_is_overfit(tmp_path: Path) -> None:
    few, others = made(32, 2, 3.0), made(200, 3, 3.0)
    verdicts = Run(tmp_path, layers(2)).learn(few, others, lrs=[0.3] * 40)
    assert "Overfit" in fired(verdicts)
    assert "Validation loss rose from" in verdicts["Overfit"].sentence


def test_a_training_that_goes_on_for_nothing_is_found(tmp_path: Path) -> None:
    verdicts = Run(tmp_path, layers(1)).learn(
        made(64, 2, 0.1), made(64, 3, 0.1), lrs=[0.5] * 8 + [0.01] * 12
    )
    assert "Overtraining" in fired(verdicts)
    assert "Overfit" not in fired(verdicts)


def test_gradients_that_fade_on_their_way_back_are_found(tmp_path: Path) -> None:
    verdicts = Run(tmp_path, layers(14, nn.Sigmoid)).learn(made(64, 2, 0.5), lrs=[0.01] * 2)
    assert "VanishingGradient" in fired(verdicts)
    assert "gradient/Sequential_0.weight" in verdicts["VanishingGradient"].tensors


def test_numbers_that_are_none_are_found_at_the_step_that_ends_the_run(tmp_path: Path) -> None:
    verdicts = Run(tmp_path, layers(3)).learn(made(160, 2, 0.8), lrs=[1e12] * 3)
    assert "ExplodingTensor" in fired(verdicts)
    assert "loss" in verdicts["ExplodingTensor"].tensors or verdicts["ExplodingTensor"].tensors


def test_relus_that_never_fire_again_are_found(tmp_path: Path) -> None:
    network = layers(2)
    with torch.no_grad():
        network.get_parameter("0.bias").fill_(-30)
    verdicts = Run(tmp_path, network).learn(made(160, 2, 0.8), lrs=[0.01] * 2)
    assert {"DeadRelu", "AllZero"} <= fired(verdicts)
    assert verdicts["DeadRelu"].sentence.startswith("Channels that are always zero: 1 (100 %)")


@pytest.mark.parametrize("spoil", [nn.init.zeros_, lambda weight: nn.init.normal_(weight, std=9)])
def test_weights_that_begin_badly_are_found(spoil: Callable[..., object], tmp_path: Path) -> None:
    network = layers(2)
    for layer in network:
        if isinstance(layer, nn.Linear):
            spoil(layer.weight)
    verdicts = Run(tmp_path, network).learn(made(80, 2, 0.8), lrs=[1e-4])
    assert "PoorWeightInitialization" in fired(verdicts)
    assert verdicts["PoorWeightInitialization"].step == 1


def test_classes_of_which_few_are_seen_are_found(tmp_path: Path) -> None:
    verdicts = Run(tmp_path, layers(1)).learn(made(320, 2, 0.8, rare=0.03), lrs=[0.05])
    assert fired(verdicts) == {"ClassImbalance"}
    assert verdicts["ClassImbalance"].tensors == ("class 2",)
    assert "labels in the saved steps" in verdicts["ClassImbalance"].sentence


@pytest.mark.parametrize("rare", [2, 4])
def test_classes_are_named_and_their_photos_counted(rare: int, tmp_path: Path) -> None:
    write_classes(tmp_path / "tensors", {"shirt": 29, "trousers": 20, "tiny class": rare})
    verdicts = Run(tmp_path, layers(1)).learn(made(320, 2, 0.8, rare=0.03), lrs=[0.05])
    if rare == 4:
        assert verdicts["ClassImbalance"].state == NO_ISSUE, "29 is not ten times 4"
        return
    assert verdicts["ClassImbalance"].sentence == (
        "Of 51 training images, 29 are of shirt and 2 of tiny class."
    )
    assert verdicts["ClassImbalance"].tensors == ("tiny class",)
    assert "--class-weights balanced" in verdicts["ClassImbalance"].advice


@pytest.mark.parametrize("text", ["", "[]", '{"a": {}}', "[" * 100_000], ids=range(4))
def test_a_broken_list_of_classes_is_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "tensors").mkdir()
    (tmp_path / "tensors" / CLASSES_FILE).write_text(text)
    verdicts = Run(tmp_path, layers(1)).learn(made(320, 2, 0.8, rare=0.03), lrs=[0.05])
    assert verdicts["ClassImbalance"].tensors == ("class 2",)


def test_classes_that_are_seen_alike_are_balanced(tmp_path: Path) -> None:
    verdicts = Run(tmp_path, layers(1)).learn(made(320, 2, 0.8), lrs=[0.05])
    assert verdicts["ClassImbalance"].state == NO_ISSUE


def test_a_step_that_is_long_in_coming_is_found(tmp_path: Path) -> None:
    impatient = [RuleConfig(StalledTrainingRule, {"threshold": "0.3"})]
    run = Run(tmp_path, layers(1), rules=impatient)
    assert fired(run.learn(made(48, 2, 0.8), lrs=[0.05], pause=0.4)) == {"StalledTrainingRule"}


def test_a_process_beside_a_training_that_falls_silent_names_it_at_once(tmp_path: Path) -> None:
    Run(tmp_path, layers(1)).learn(made(48, 2, 0.8), lrs=[0.05])
    (tmp_path / "tensors" / rule_job.END_FILE).unlink()
    told = {"RuleConfigurationName": "stall", "RuleParameters": {
        "rule_to_invoke": "StalledTrainingRule", "threshold": "0.3"}}  # fmt: skip
    statuses = tmp_path / "statuses.json"
    beside = Thread(target=rule_job.evaluate, args=(tmp_path / "tensors", [told], statuses))
    beside.start()
    try:
        deadline = time.monotonic() + 30
        while not statuses.exists() or ISSUE not in statuses.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        (tmp_path / "tensors" / rule_job.END_FILE).touch()
        beside.join()
    [status] = json.loads(statuses.read_text())
    assert status["StatusDetails"].endswith("s, and training has not ended.")


def test_a_head_alone_has_no_relus_to_watch(tmp_path: Path) -> None:
    head = nn.Linear(FEATURES, CLASSES)
    verdicts = Run(tmp_path, head).learn(made(160, 2, 0.8))
    assert verdicts["DeadRelu"].state == NOT_APPLICABLE
    assert "There is no ReLU in the trained layers" in verdicts["DeadRelu"].sentence


def test_a_rule_that_breaks_leaves_the_others_and_the_training_alone(tmp_path: Path) -> None:
    class Broken(DebuggerRule):
        needs = "losses"

        def check(self, mode: object, number: int, step: int) -> None:
            raise ZeroDivisionError("no such thing")

    run = Run(tmp_path, layers(1), rules=[RuleConfig(Broken), RuleConfig(ExplodingTensor)])
    verdicts = run.learn(made(80, 2, 0.8))
    assert verdicts["Broken"].state == ERROR
    assert "ZeroDivisionError: no such thing" in verdicts["Broken"].sentence
    assert verdicts["ExplodingTensor"].state == NO_ISSUE


def test_looks_are_taken_at_the_interval_and_at_every_pass(tmp_path: Path) -> None:
    run = Run(tmp_path, layers(1), every=4)
    run.learn(made(160, 2, 0.8), made(32, 3, 0.8), lrs=[0.05] * 2)
    saved = SavedTensors(tmp_path / "tensors")
    assert saved.steps(ModeKeys.TRAIN) == [0, 4, 8, 12, 16]
    assert [made for made, _ in saved.curve(ModeKeys.EVAL)] == [10, 20]


def test_the_network_is_left_as_it_was_found(tmp_path: Path) -> None:
    network = layers(2)
    Run(tmp_path, network).learn(made(32, 2, 0.8))
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules())
    assert not any(parameter._backward_hooks for parameter in network.parameters())
