"""Which networks `arch=auto` tries within its time, by a clock that the test moves."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from training.loop.choose_network import NetworkChoice

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On one thread the same sums come out the same."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass
class Clock:
    """Time passes only where it is asked for, and as much as is set."""

    now: float = 0.0
    step: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def choose(root: Path, clock: Clock, slow: str, step: float) -> "tuple[NetworkChoice, list[str]]":
    """On 324 images, in eleven passes. `step`: seconds a pass of the network `slow` takes."""
    from tests.support.worlds.jobs import QUICK, Job, data_set
    from training.config.paths import ContainerPaths
    from training.config.train_config import TrainConfig
    from training.context import TrainContext
    from training.data import dataset as data
    from training.distributed import Distributed
    from training.loop import choose_network

    said: list[str] = []

    def log(line: str) -> None:
        said.append(line)
        clock.step = step if line.startswith(slow) else 0.0

    paths = ContainerPaths.from_env(Job(root).variables)
    data_set(paths.channels / "training", train=100)
    config = TrainConfig.from_strings(
        QUICK | {"arch": "auto", "search": "lr=0.001:0.01", "trials": "2", "epochs": "1"}
    )
    context = TrainContext(config, paths, Distributed(), lambda: False, log)
    dataset = data.prepare(paths.channels, True, config.max_unreadable, context.check_interrupt)
    scratch = root / "scratch"
    scratch.mkdir()
    choice = choose_network.choose(context, dataset, scratch, clock)
    assert [folder.name for folder in scratch.iterdir()] == [choice.config.arch], (
        "a million images have 10 GB of features: the others' must not stay"
    )
    return choice, said


def test_a_network_whose_pace_is_too_slow_is_left_out_and_the_next_is_tried(
    tmp_path: Path,
) -> None:
    choice, said = choose(tmp_path, Clock(), "efficientnet_lite1,", 8.0)
    reasons = {network.arch: network.reason for network in choice.tried}
    assert reasons == {
        "efficientnet_lite0": "",
        "efficientnet_lite1": "its features need 41 s more, and 20 s are left",
        "efficientnet_lite2": "",
        "efficientnet_lite1_lite2": "",
    }
    sentence = "efficientnet_lite1 was left out: its features need 41 s more, and 20 s are left"
    assert sentence in said


def test_the_first_network_is_tried_whatever_it_takes_and_nothing_after_the_time(
    tmp_path: Path,
) -> None:
    choice, _ = choose(tmp_path, Clock(), "efficientnet_lite0,", 100.0)
    assert choice.config.arch == "efficientnet_lite0"
    assert [network.reason for network in choice.tried] == ["", *["no time is left"] * 3]
