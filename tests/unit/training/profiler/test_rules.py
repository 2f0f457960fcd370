"""What a profile names first, of steps and of what lies around them."""

import pytest

from training.debugger.report import ISSUE, NO_ISSUE
from training.profiler.rules import Profile, bottleneck, findings
from training.profiler.series import Series
from training.profiler.system_metrics import CPU, MEMORY, PROCESS, WAITING


def seen(usage: dict[str, Series], **seconds: float) -> Profile:
    """Sixty steps, most of whose time the optimizer takes."""
    split = dict.fromkeys(("data", "forward", "backward", "other"), 0.05) | {"optimizer": 0.3}
    times = {"seconds": 31.0, "in_steps": 30.0, "before_first": 1.0, "after_last": 0.0} | seconds
    return Profile(
        split=split, steps=60, **times, operators=[], step_seconds=Series(), memory=Series(),
        gpu_memory=Series(), usage=usage, decoders=0, trouble="",
    )  # fmt: skip


@pytest.mark.parametrize(("ours", "expected"), [(20.0, ISSUE), (90.0, NO_ISSUE)])
def test_other_work_on_the_machine_is_the_bottleneck_where_it_takes_most(
    ours: float, expected: str
) -> None:
    usage = {name: Series() for name in (CPU, PROCESS, WAITING, MEMORY)}
    for second in range(30):
        for name, value in zip(usage, (98.0, ours, 0.0, 1e9), strict=True):
            usage[name].add(second, value)
    profile = seen(usage)
    found = findings(profile)
    [state] = [each.state for each in found if each.rule == "OverallSystemUsage"]
    assert state == expected
    assert bottleneck(profile, found).startswith("Other processes") == (expected == ISSUE)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ({}, "The optimizer takes 60% of each step"),
        ({"seconds": 71.0, "before_first": 41.0}, "41 s pass before the first"),
        ({"seconds": 71.0, "after_last": 40.0}, "40 s pass after the last"),
        ({"seconds": 71.0}, "40 s pass between epochs"),
    ],
)
def test_what_takes_longest_is_named_though_it_be_no_step(
    seconds: dict[str, float], said: str
) -> None:
    profile = seen({name: Series() for name in (CPU, PROCESS, WAITING, MEMORY)}, **seconds)
    assert said in bottleneck(profile, findings(profile))
