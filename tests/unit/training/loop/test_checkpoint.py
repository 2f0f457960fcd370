from pathlib import Path

import pytest
import torch
from torch import nn

from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.loop import checkpoint
from training.loop.optimizer import EMA, make_optimizer
from training.loop.state import TrainState

RUN = {"lr": "0.1", "dataset": "sha256:1"}


def train_state(seed: int, optimizer_name: str = "adamw") -> TrainState:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    config = TrainConfig(optimizer=optimizer_name)
    return TrainState(
        module,
        make_optimizer(config, module, module),
        EMA(module, 0.9),
        torch.amp.GradScaler("cuda", enabled=False),
    )


def learn(state: TrainState) -> None:
    state.model.train()
    state.optimizer.zero_grad()
    state.model(torch.rand(8, 4)).square().mean().backward()
    state.optimizer.step()
    state.step += 1
    assert state.ema is not None
    state.ema.update(state.model, state.step)


def assert_same(one: TrainState, other: TrainState) -> None:
    assert one.ema is not None
    assert other.ema is not None
    torch.testing.assert_close(one.model.state_dict(), other.model.state_dict())
    torch.testing.assert_close(one.ema.state, other.ema.state)
    torch.testing.assert_close(
        one.optimizer.state_dict()["state"], other.optimizer.state_dict()["state"]
    )
    assert one.best is not None
    torch.testing.assert_close(one.best, other.best)
    for name in ("step", "history", "loss", "correct", "images"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("optimizer_name", ["adamw", "sgd"])
def test_a_course_is_restored_whole(optimizer_name: str, tmp_path: Path) -> None:
    one = train_state(0, optimizer_name)
    learn(one)
    one.end_epoch({"epoch": 1.0, "validation_loss": 0.5}, 0)
    one.loss, one.correct, one.images = 3.5, 7, 8
    one.keep_as_best()
    checkpoint.write(tmp_path, RUN, one.to_checkpoint())
    two = train_state(1, optimizer_name)
    two.restore(checkpoint.read(tmp_path, RUN))
    assert_same(two, one)
    for learner in (one, two):
        torch.manual_seed(5)
        learn(learner)
    assert_same(two, one)  # it goes on as it would have


def test_without_a_checkpoint_a_course_begins(tmp_path: Path) -> None:
    one = train_state(0)
    one.restore(checkpoint.read(tmp_path, RUN))
    assert one.step == 0


def test_another_runs_checkpoint_is_refused_by_what_differs(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, RUN, train_state(0).to_checkpoint())
    with pytest.raises(TrainingFailed, match=r"there lr was 0\.1, now it is 0\.2"):
        checkpoint.read(tmp_path, RUN | {"lr": "0.2"})


def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    for content in (b"", b"\x80\x04 pickled", bytes(100)):
        (tmp_path / checkpoint.CHECKPOINT_FILE).write_bytes(content)
        with pytest.raises(TrainingFailed, match=r"checkpoint\.safetensors is not a checkpoint"):
            checkpoint.read(tmp_path, RUN)


def test_a_write_that_fails_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    one = train_state(0)
    checkpoint.write(tmp_path, RUN, one.to_checkpoint())
    (tmp_path / f"{checkpoint.CHECKPOINT_FILE}.part").symlink_to("/dev/full")
    learn(one)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.write(tmp_path, RUN, one.to_checkpoint())
    before = checkpoint.read(tmp_path, RUN)
    assert before is not None
    assert before["step"] == 0
