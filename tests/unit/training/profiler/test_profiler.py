"""The profiler on real training loops in which something was planted to slow them down."""

import json
import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from mmap import mmap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.builders.pages import foreign_markup
from training.config.paths import ContainerPaths
from training.config.train_config import TrainConfig
from training.context import TrainContext
from training.data.dataset import Dataset
from training.data.sampling import Batch
from training.debugger.interface import NullDebugger
from training.debugger.report import ISSUE, NO_ISSUE, NOT_APPLICABLE
from training.distributed import Distributed
from training.loop.fit import Loop
from training.loop.setup import TrainSetup
from training.loop.state import TrainState
from training.profiler.profiler import Profiler
from training.profiler.series import MAX_POINTS, Series, trend
from training.profiler.timing import attach_profiler

STEPS = 60
SMALL: dict[str, Any] = {"steps": 16, "side": 8}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Planted(nn.Module):
    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self._act()
        return inputs


class Noise:
    """A source of examples, of a given slowness."""

    def __init__(self, steps: int, side: int, seconds: float) -> None:
        self.steps = steps
        self._seconds = seconds
        self._batch = torch.randn(16, 3, side, side), torch.randint(0, 3, (16,))

    def train_batches(self, epoch: int, skip: int) -> Iterator[Batch]:
        for _ in range(skip, self.steps):
            if self._seconds:  # even a sleep of no time lets others go first
                time.sleep(self._seconds)
            yield self._batch

    def eval_batches(self, split: str) -> Iterator[Batch]:
        yield self._batch


def nothing() -> None:
    pass


def alone(window: int, device: torch.device) -> Profiler:
    """As on a machine that nobody else uses: time is what this process had of a processor."""
    return Profiler(window, device, clock=time.process_time, busy=lambda: 50.0)


def profile(
    folder: Path,
    act: Callable[[], object] = nothing,
    wait: float = 0.0,
    steps: int = STEPS,
    side: int = 40,
    profiler: Callable[[int, torch.device], Profiler] = Profiler,
    **hyperparameters: Any,
) -> dict[str, Any]:
    """profiler-report.json of a real training; on small images what is planted takes longest."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), Planted(act), nn.Conv2d(16, 16, 5), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip
    config = TrainConfig(epochs=1, unfreeze="all", **hyperparameters)
    paths = ContainerPaths(folder, folder, folder, folder, folder)
    context = TrainContext(config, paths, Distributed(), lambda: False, said.append)
    dataset = Dataset(folder, ("a", "b", "c"), {"train": (), "validation": ()}, (), (), "")
    setup = TrainSetup(network, Noise(steps, side, wait), dataset, lambda: network)
    groups = [{"params": list(network.parameters()), "peak": 0.01}]
    scaler = torch.amp.GradScaler("cuda", enabled=False)
    before = TrainState(network, torch.optim.SGD(groups, lr=0.01), None, scaler)
    with attach_profiler(context, profiler) as timer:
        debugger = NullDebugger("not watched")
        Loop(context, setup, nn.CrossEntropyLoss(), debugger, timer, nothing).run(before)
    found: dict[str, Any] = json.loads((report(folder, "json")).read_text())
    return found


said: list[str] = []


def report(folder: Path, kind: str) -> Path:
    return folder / f"data/ProfilerReport/profiler-output/profiler-report.{kind}"


def state(found: dict[str, Any], rule: str) -> str:
    [each] = [each for each in found["rules"] if each["rule"] == rule]
    text: str = each["state"]
    return text


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    folder = tmp_path_factory.mktemp("plain")
    return profile(folder, profiler=alone, profile_steps=20), report(folder, "html").read_text()


def test_a_step_is_split_into_its_phases(plain: tuple[dict[str, Any], str]) -> None:
    found, _ = plain
    split = found["step_milliseconds"]
    assert list(split) == ["data", "forward", "backward", "optimizer", "other"]
    assert all(each > 0 for each in split.values())
    assert split["backward"] > split["data"]
    assert found["steps"] == STEPS
    assert found["seconds"]["in steps"] < found["seconds"]["whole run"]


def test_a_training_that_wastes_nothing_has_the_network_for_its_bottleneck(
    plain: tuple[dict[str, Any], str],
) -> None:
    found, _ = plain
    assert found["bottleneck"].startswith("The network itself: forward takes")
    for rule in ("Dataloader", "SlowOperator", "MemoryIncrease"):
        assert state(found, rule) == NO_ISSUE
    assert state(found, "LowGPUUtilization") == NOT_APPLICABLE


def test_the_slowest_operators_are_named_with_their_phase(
    plain: tuple[dict[str, Any], str],
) -> None:
    rows = plain[0]["operators"]
    assert [row["milliseconds"] for row in rows] == sorted(
        (row["milliseconds"] for row in rows), reverse=True
    )
    assert {"forward", "backward"} <= {row["phase"] for row in rows}
    assert any("convolution" in row["name"] for row in rows)
    assert 0.3 < sum(row["share"] for row in rows) <= 1


def test_the_page_needs_nothing_from_anywhere(plain: tuple[dict[str, Any], str]) -> None:
    _, text = plain
    assert "<svg" in text
    assert "default-src 'none'" in text
    assert not re.search(r"""(href|src)=|<script|<link""", foreign_markup(text))


def test_a_slow_loader_is_named(tmp_path: Path) -> None:
    found = profile(tmp_path, wait=0.06, decoders=1, **SMALL)
    assert state(found, "Dataloader") == ISSUE
    assert re.match(
        r"The data loader\. Each step waits [6-9]\d(\.\d)? ms of its", found["bottleneck"]
    )
    assert "Raise decoders: it is 1" in found["bottleneck"]
    assert state(found, "SlowOperator") == NO_ISSUE


def test_a_slow_operator_is_named(tmp_path: Path) -> None:
    square = torch.randn(320, 320)
    found = profile(tmp_path, lambda: torch.linalg.svd(square), **SMALL)
    assert state(found, "SlowOperator") == ISSUE
    assert "_linalg_svd in forward" in found["bottleneck"]


def test_python_that_holds_up_a_layer_is_named(tmp_path: Path) -> None:
    found = profile(tmp_path, lambda: time.sleep(0.06), **SMALL)
    assert "Python between operators in forward" in found["bottleneck"]


def test_memory_that_is_kept_from_every_step_is_named(tmp_path: Path) -> None:
    kept: list[mmap] = []

    def keep() -> None:
        """From the system itself: of its heap a process may have plenty to spare."""
        kept.append(mmap(-1, 2_000_000))
        kept[-1].write(b"x" * 2_000_000)

    found = profile(tmp_path, keep)
    [leak] = [each for each in found["rules"] if each["rule"] == "MemoryIncrease"]
    assert leak["state"] == ISSUE
    assert re.search(r"grew by [12]\.\d\d MB per step", leak["sentence"])


def test_where_torch_cannot_record_the_rest_is_still_told(tmp_path: Path) -> None:
    said.clear()
    another = torch.autograd.profiler.emit_itt()  # type: ignore[no-untyped-call]
    with another:
        found = profile(tmp_path, **SMALL)
    assert state(found, "SlowOperator") == NOT_APPLICABLE
    assert "torch's profiler" in found["operators_missing"]
    assert found["step_milliseconds"]["backward"] > 0
    assert any("training continues" in line for line in said)
    assert found["operators_missing"] in unescape(report(tmp_path, "html").read_text())


def test_a_run_that_is_not_profiled_says_so(tmp_path: Path) -> None:
    assert profile(tmp_path, profile_steps=0, **SMALL)["bottleneck"].startswith("Not profiled")


def test_a_million_numbers_take_the_place_of_a_thousand() -> None:
    series = Series()
    for step in range(1_000_000):
        series.add(step, step)
    assert MAX_POINTS / 2 <= len(series.points) <= MAX_POINTS
    assert min(series.values) == 0
    assert max(series.values) > 990_000


def test_a_line_fits_what_grows_steadily_and_not_what_settles() -> None:
    steady = trend([(step, 3.0 * step) for step in range(100)])
    assert (steady.slope, steady.fit) == pytest.approx((3, 1))
    settled = trend([(step, float(min(step, 30))) for step in range(100)])
    assert settled.fit < 0.9
    assert settled.late_slope == 0
