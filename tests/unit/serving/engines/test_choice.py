"""Which engine answers, and where, by what the archive brings and the machine has."""

import numpy as np
import pytest

from domain.model import Compiled, Precision
from serving.engines import select_engine
from serving.engines.batches import batch_sizes, split_batch
from serving.settings import EngineChoice


@pytest.mark.parametrize(
    ("choice", "compiled", "gpu", "chosen"),
    [
        ("auto", True, True, "gpu"),
        ("auto", True, False, "openvino"),
        ("auto", False, True, "gpu"),
        ("auto", False, False, "cpu"),
        ("torch", True, True, "gpu"),
        ("torch", True, False, "cpu"),
        ("openvino", True, True, "openvino"),
    ],
)
def test_a_gpu_comes_first_then_openvino_unless_another_is_asked_for(
    choice: EngineChoice, compiled: bool, gpu: bool, chosen: str
) -> None:
    assert select_engine(choice, compiled, lambda: gpu) == chosen


def test_who_asks_for_openvino_waits_for_no_gpu_to_be_looked_for() -> None:
    def gpu() -> bool:
        raise AssertionError("torch takes seconds to import")

    assert select_engine("openvino", True, gpu) == "openvino"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "rounds"), [("int8", True), ("bf16", True), ("fp32", False), (None, False)]
)
def test_a_gpu_rounds_only_for_models_that_were_judged_to_bear_it(
    precision: Precision | None, rounds: bool
) -> None:
    from serving.engines.cuda import allows_bf16

    assert allows_bf16(Compiled(precision, {}) if precision else None) is rounds


def test_a_batch_is_cut_into_prepared_sizes_with_nothing_lost() -> None:
    pixels = np.arange(7 * 3, dtype=np.uint8).reshape(7, 1, 1, 3)
    parts = list(split_batch(pixels, batch_sizes(4)))
    assert [len(part) for part in parts] == [4, 2, 1]
    assert np.array_equal(np.concatenate(parts), pixels)
