"""Rules on a profile, with AWS's names and two more, and the bottleneck of a run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, quantiles

from training.debugger.report import ISSUE, NO_ISSUE, NOT_APPLICABLE
from training.profiler.operators import PYTHON, Operator
from training.profiler.profiler import BACKWARD, DATA, FORWARD, OPTIMIZER
from training.profiler.series import Series, trend
from training.profiler.system_metrics import CPU, GPU, GPU_MEMORY, PROCESS, WAITING

MB = 1e6

MAX_DATA_SHARE = 0.2
"""Of a step: above it, the loader is the bottleneck."""

SLOW_SHARE = 0.25
SLOW_MS = 2.0
"""Of a step, for one operator that is not arithmetic of the network."""

ARITHMETIC = ("conv", "mm", "matmul", "linear", "attention", "norm", "pool", "relu", "hardtanh",
              "silu", "sigmoid", "_foreach", "_fused", "optimizer", "copy_", "to_copy")  # fmt: skip

MAX_OPTIMIZER_SHARE = 0.4
"""Of a step, for the optimizer."""

LEAK_BYTES = 32 * MB
LEAK_STEPS = 20
LEAK_FIT = 0.9
"""R² of a line through memory over steps: a leak grows steadily."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The measurements of a run."""

    split: Mapping[str, float]
    """Mean seconds of a step, by phase."""
    steps: int
    seconds: float
    """Of the whole run; the next three are parts of it."""
    in_steps: float
    before_first: float
    after_last: float
    operators: Sequence[Operator]
    step_seconds: Series
    memory: Series
    gpu_memory: Series
    usage: Mapping[str, Series]
    decoders: int
    """0 if no images are decoded in a step."""
    trouble: str

    @property
    def between(self) -> float:
        """Evaluation after each epoch, checkpoints, the debugger's rules."""
        return max(0.0, self.seconds - self.before_first - self.in_steps - self.after_last)

    @property
    def step(self) -> float:
        return sum(self.split.values())

    def share(self, phase: str) -> float:
        return self.split[phase] / self.step if self.step else 0.0


@dataclass(frozen=True, slots=True)
class ProfilerFinding:
    rule: str
    state: str
    sentence: str
    advice: str = ""


def format_seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def findings(profile: Profile) -> list[ProfilerFinding]:
    steps = (_dataloader, _slow_operator, _memory, _gpu_memory, _outliers)
    machine = (_initialization, _disk, _system_usage)
    return [rule(profile) for rule in (*steps, *machine)] + _gpus(profile)


def _dataloader(profile: Profile) -> ProfilerFinding:
    share = profile.share(DATA)
    wait, step = format_seconds(profile.split[DATA]), format_seconds(profile.step)
    waits = f"Each step waits {wait} of its {step} ({share:.0%}) for data."
    cores = os.cpu_count() or 1
    if 0 < profile.decoders < cores:
        advice = f"Raise decoders: it is {profile.decoders}, and there are {cores} cores."
    else:
        advice = "Store smaller images, use a machine with more cores, or train the head only."
    return _finding("Dataloader", share > MAX_DATA_SHARE, waits, advice)


def _slow_operator(profile: Profile) -> ProfilerFinding:
    if profile.trouble:
        return ProfilerFinding("SlowOperator", NOT_APPLICABLE, profile.trouble)
    if not profile.operators:
        return ProfilerFinding("SlowOperator", NOT_APPLICABLE, "No operators were traced.")
    slow = next((operator for operator in profile.operators if _is_slow(operator)), None)
    if slow is None:
        first = profile.operators[0]
        return ProfilerFinding("SlowOperator", NO_ISSUE, f"The slowest is {_describe(first)}.")
    advice = (
        "Remove loops and conversions between layers, or compile them."
        if slow.name == PYTHON
        else "Find it in the network or the loss; compute it once outside the step, or replace it."
    )
    return ProfilerFinding("SlowOperator", ISSUE, f"{_describe(slow)}.", advice)


def _is_slow(operator: Operator) -> bool:
    ordinary = any(word in operator.name.lower() for word in ARITHMETIC)
    return (
        not ordinary
        and operator.phase in (FORWARD, BACKWARD)
        and operator.share > SLOW_SHARE
        and operator.milliseconds > SLOW_MS
    )


def _describe(operator: Operator) -> str:
    seconds = format_seconds(operator.milliseconds / 1e3)
    return f"{operator.name} in {operator.phase}: {seconds} per step, {operator.share:.0%} of it"


def _memory(profile: Profile) -> ProfilerFinding:
    advice = (
        "Something is kept from every step: sample for lists of losses or outputs that are not "
        "detached, and for unbounded caches."
    )
    return _growth("MemoryIncrease", profile.memory, "The process's memory", advice)


def _gpu_memory(profile: Profile) -> ProfilerFinding:
    if not profile.gpu_memory.points:
        return ProfilerFinding("GPUMemoryIncrease", NOT_APPLICABLE, "There is no GPU.")
    advice = "Detach what is kept from a step: it references the step's whole graph."
    return _growth("GPUMemoryIncrease", profile.gpu_memory, "The GPU's memory", advice)


def _growth(rule: str, series: Series, what: str, advice: str) -> ProfilerFinding:
    points = series.points[len(series.points) // 4 :]  # the first quarter fills caches
    if len(points) < LEAK_STEPS:
        few = f"{len(series.points)} steps are too few to detect a trend."
        return ProfilerFinding(rule, NOT_APPLICABLE, few)
    line = trend(points)
    grown = line.slope * (points[-1][0] - points[0][0])
    steady = line.fit > LEAK_FIT and line.late_slope > line.slope / 2
    sentence = f"{what} grew by {line.slope / MB:.2f} MB per step, {grown / MB:.0f} MB in total."
    if grown > LEAK_BYTES and steady:
        return ProfilerFinding(rule, ISSUE, sentence, advice)
    return ProfilerFinding(
        rule, NO_ISSUE, f"{what} ends at {points[-1][1] / MB:.0f} MB and is steady."
    )


def _outliers(profile: Profile) -> ProfilerFinding:
    times = profile.step_seconds.values
    if len(times) < LEAK_STEPS:
        return ProfilerFinding("StepOutlier", NOT_APPLICABLE, f"{len(times)} steps are too few.")
    usual = median(times)
    long = [seconds for seconds in times if seconds > 3 * usual]
    sentence = (
        f"{len(long)} of {len(times)} steps took more than three times the usual "
        f"{format_seconds(usual)}, {sum(long) / sum(times):.0%} of the time."
    )
    advice = (
        "Check the curves for what the machine did at that time: other processes, disk, a "
        "slow image."
    )
    return _finding("StepOutlier", sum(long) > 0.1 * sum(times), sentence, advice)


def _initialization(profile: Profile) -> ProfilerFinding:
    sentence = (
        f"{profile.before_first:.0f} of {profile.seconds:.0f} s passed before the first step."
    )
    advice = "It is spent on reading images, weights and features; more cores shorten it."
    return _finding("MaxInitializationTime", profile.before_first > 20 * 60, sentence, advice)


def _disk(profile: Profile) -> ProfilerFinding:
    samples = profile.usage[WAITING].values
    if not samples:
        return ProfilerFinding(
            "IOBottleneck", NOT_APPLICABLE, "The run ended before the first sample."
        )
    waited = fmean(sample > 50 for sample in samples)
    sentence = f"In {waited:.0%} of the samples the processors mostly waited for the disk."
    return _finding(
        "IOBottleneck", waited > 0.5, sentence, "Use a faster volume, or smaller images."
    )


def _system_usage(profile: Profile) -> ProfilerFinding:
    every, own = profile.usage[CPU].values, profile.usage[PROCESS].values
    if len(every) < LEAK_STEPS:
        return ProfilerFinding(
            "OverallSystemUsage", NOT_APPLICABLE, "The run ended after a few samples."
        )
    busy, ours = fmean(every), fmean(own)
    sentence = f"The processors were {busy:.0f} % busy, {ours:.0f} % with this training."
    advice = "Other processes slow it down: stop them, or train on a dedicated machine."
    return _finding("OverallSystemUsage", busy > 80 and ours < busy / 2, sentence, advice)


def _gpus(profile: Profile) -> list[ProfilerFinding]:
    names = ("LowGPUUtilization", "CPUBottleneck", "BatchSize")
    busy = profile.usage.get(GPU, Series()).values
    if len(busy) < 2:
        why = "There is no GPU with NVML."
        return [ProfilerFinding(name, NOT_APPLICABLE, why) for name in names]
    low, high = (quantiles(busy, n=20)[at] for at in (0, -1))
    both = zip(busy, profile.usage[CPU].values, strict=False)  # the last sample may be incomplete
    idle = fmean(gpu < 10 and cpu > 90 for gpu, cpu in both)
    fits = high < 70 and max(profile.usage[GPU_MEMORY].values) > 0
    span = f"The GPU was busy {low:.0f} to {high:.0f} % of the time (5th to 95th percentile)."
    return [
        _finding(names[0], high < 70, span, "Raise batch-size or decoders."),
        _finding(
            names[1],
            idle > 0.5,
            f"In {idle:.0%} of the samples the CPU was busy and the GPU idle.",
            "Raise decoders.",
        ),
        _finding(names[2], fits, span, "Raise batch-size until the GPU's memory is used."),
    ]


def _finding(rule: str, is_issue: bool, sentence: str, advice: str) -> ProfilerFinding:
    return (
        ProfilerFinding(rule, ISSUE, sentence, advice)
        if is_issue
        else ProfilerFinding(rule, NO_ISSUE, sentence)
    )


def bottleneck(profile: Profile, results: Sequence[ProfilerFinding]) -> str:
    if not profile.steps:
        return "No step was made."
    issues = {result.rule: result for result in results if result.state == ISSUE}
    if "OverallSystemUsage" in issues:
        return _sentence("Other processes", issues["OverallSystemUsage"])
    longest, what = max(_around(profile))
    if longest > profile.in_steps:
        return f"Not the steps: all of them take {profile.in_steps:.1f} s, and {what}"
    return _of_a_step(profile, issues)


def _of_a_step(profile: Profile, issues: Mapping[str, ProfilerFinding]) -> str:
    for rule, what in (("Dataloader", "The data loader"), ("SlowOperator", "One operator")):
        if rule in issues:
            return _sentence(what, issues[rule])
    if profile.share(OPTIMIZER) > MAX_OPTIMIZER_SHARE:
        return (
            f"The optimizer takes {profile.share(OPTIMIZER):.0%} of each step. Use larger "
            "batches, or freeze layers."
        )
    return (
        f"The network itself: forward takes {profile.share(FORWARD):.0%} of a step and backward "
        f"{profile.share(BACKWARD):.0%}. A GPU, a smaller --image-size or --unfreeze head shorten "
        "it."
    )


def _sentence(what: str, issue: ProfilerFinding) -> str:
    return f"{what}. {issue.sentence} {issue.advice}"


def _around(profile: Profile) -> list[tuple[float, str]]:
    """Seconds outside of steps, with advice."""
    before, between, after = profile.before_first, profile.between, profile.after_last
    return [
        (before, f"{before:.0f} s pass before the first. More cores read images and compute "
        "features faster."),
        (between, f"{between:.0f} s pass between epochs. A smaller validation split shortens it."),
        (after, f"{after:.0f} s pass after the last, in evaluating and compiling the network. "
                "compile=none shortens it."),
    ]  # fmt: skip
