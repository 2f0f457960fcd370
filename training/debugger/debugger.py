"""The debugger: smdebug's hook, rules on the tensors it saves, and what follows from a finding."""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from threading import Event, Lock, Thread

import torch

from pages.charts import Points
from training.config import hook_config
from training.config.paths import ContainerPaths
from training.config.train_config import TrainConfig
from training.context import TrainContext
from training.debugger import smdebug_compat
from training.debugger.evaluator import ALL_RULES, RuleConfig, RuleEvaluator
from training.debugger.hook import Hook
from training.debugger.interface import DebuggedRun, Debugger, NullDebugger, write_report
from training.debugger.report import ISSUE, DebugSummary, RuleResult
from training.debugger.rules.tensor import StalledTrainingRule
from training.debugger.smdebug_compat import ModeKeys
from training.debugger.tensors import SavedTensors, write_classes

MAX_READING_SHARE = 0.05
"""Share of the time that rules may spend on reading tensors: an epoch of a head is as short."""


CHECKS_PER_TIMEOUT = 20
"""The clock is checked this often within the timeout."""


class Watchdog:
    """Reports a stalled step while it is stalled: a thread that calls `on_stall` at most once."""

    def __init__(
        self, seconds: float, idle_seconds: Callable[[], float], on_stall: Callable[[float], None]
    ) -> None:
        """`idle_seconds`: seconds since the last batch."""
        self._seconds = seconds
        self._idle_seconds = idle_seconds
        self._on_stall = on_stall
        self._closed = Event()
        self._thread = Thread(target=self._run, name="stall", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(self._seconds / CHECKS_PER_TIMEOUT):
            idle_seconds = self._idle_seconds()
            if idle_seconds > self._seconds:
                self._on_stall(idle_seconds)
                return

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


class SmdebugDebugger:
    def __init__(
        self,
        context: TrainContext,
        hook: Hook,
        evaluator: RuleEvaluator,
        initial: DebugSummary,
    ) -> None:
        """`initial`: the summary before the first step."""
        self._context = context
        self._hook = hook
        self._evaluator = evaluator
        self._lock = Lock()
        """The loop's thread and the watchdog's both evaluate."""
        self._stop_on = _stopping_rules(context.config)
        self._initial = initial
        self._failed = ""
        self._next_evaluation = 0.0
        """The earliest time."""
        self._watchdog = Watchdog(
            context.config.stall_seconds, lambda: hook.idle_seconds, self._on_stall
        )

    def record_labels(self, labels: torch.Tensor) -> None:
        self._hook.record_labels(labels)

    def record_evaluation(self, split: str, loss: float, train_loss: float) -> None:
        self._hook.record_evaluation(split, loss, train_loss)

    def record_divergence(self, loss: float) -> None:
        self._hook.record_divergence(loss)

    def should_stop(self) -> bool:
        """Rules that may end training are evaluated after every epoch."""
        if not self._stop_on and time.monotonic() < self._next_evaluation:
            return False
        return self._evaluate()

    def _evaluate(self) -> bool:
        began = time.monotonic()
        self._hook.flush()
        with self._lock:
            new = smdebug_compat.guard(self._evaluator.evaluate)() or []
        self._check_failure()
        self._next_evaluation = time.monotonic() + (time.monotonic() - began) / MAX_READING_SHARE
        return self._log_results(new)

    def _log_results(self, new: Sequence[RuleResult]) -> bool:
        """Whether one of them ends training."""
        for result in new:
            self._context.log(f"{result.rule}: {result.sentence} {result.advice}".rstrip())
        stops = [result for result in new if result.state == ISSUE and result.rule in self._stop_on]
        if stops:
            self._context.log(f"{stops[0].rule} ends training (--stop-on)")
        return bool(stops)

    def _on_stall(self, idle_seconds: float) -> None:
        """Called in the watchdog's thread while the loop is blocked."""
        with self._lock:
            new = self._evaluator.check_silence(idle_seconds, self._hook.steps_begun)
        is_to_end = self._log_results(new)
        write_report(self, self._context)  # for whoever stops the job
        if is_to_end:
            reason = " ".join(f"{result.rule}: {result.sentence}" for result in new)
            self._context.paths.write_failure(reason)
            os._exit(1)  # a thread that is blocked in the system cannot be interrupted

    def _check_failure(self) -> None:
        error = smdebug_compat.last_error()
        if error is not None and not self._failed:
            self._failed = f"{type(error).__name__}: {error}"
            self._context.log(f"debugger failed, training continues without it: {self._failed}")

    def close(self) -> None:
        self._watchdog.close()
        self._evaluate()
        self._hook.close()
        self._check_failure()

    def summary(self) -> DebugSummary:
        with self._lock:
            return self._unlocked_summary()

    def _unlocked_summary(self) -> DebugSummary:
        state, why = ("failed", self._failed) if self._failed else ("on", self._initial.why)
        summary = replace(
            self._initial, state=state, why=why, verdicts=tuple(self._evaluator.results())
        )
        saved = self._evaluator.tensors
        if saved is None:
            return summary
        return replace(
            summary,
            losses={
                "train": saved.curve(ModeKeys.TRAIN),
                "train, mean": saved.epoch_losses(),
                "validation": saved.curve(ModeKeys.EVAL),
                "test": saved.curve(ModeKeys.PREDICT),
            },
            gradients=_gradient_means(saved),
            looks=len(saved.steps()),
            bytes=sum(path.stat().st_size for path in saved.folder.rglob("*") if path.is_file()),
        )


def _gradient_means(saved: SavedTensors) -> Mapping[str, Points]:
    """The smallest, median and largest mean absolute gradient of the layers, by step."""
    means_by_line: dict[str, list[tuple[float, float]]] = {
        "smallest": [],
        "median": [],
        "largest": [],
    }
    for step in saved.steps():
        mode, number = saved.mode_at(step)
        means = saved.reductions(step, "gradients", "mean", True) if mode == ModeKeys.TRAIN else {}
        if means:
            values = min(means.values()), median(means.values()), max(means.values())
            for line, value in zip(means_by_line.values(), values, strict=True):
                line.append((number + 1, value))
    return means_by_line


def create_debugger(context: TrainContext, run: DebuggedRun) -> Debugger:
    """Configured by the job's DebugHookConfig if it has one, else by Sortbox's own."""
    config, paths = context.config, context.paths
    job_config = paths.config / hook_config.CONFIG_FILE
    hook = _create_hook(config, paths, run)
    if hook is None:
        error = smdebug_compat.last_error()
        why = f"{type(error).__name__}: {error}"
        context.log(f"debugger failed, training continues without it: {why}")
        return NullDebugger(f"The hook could not be created. {why}", "failed")
    by = "the job's DebugHookConfig" if job_config.exists() else "Sortbox's own configuration"
    initial = DebugSummary("on", f"Configured by {by}.", tuple(sorted(hook.include_collections)))
    try:
        write_classes(Path(hook.out_dir), run.class_images)
    except OSError as error:
        context.log(f"the debugger's rules do not know the classes' names: {error}")
    evaluator = RuleEvaluator(Path(hook.out_dir), _rules(config))
    return SmdebugDebugger(context, hook, evaluator, initial)


def _create_hook(config: TrainConfig, paths: ContainerPaths, run: DebuggedRun) -> Hook | None:
    smdebug_compat.reset_errors()
    file = smdebug_compat.guard(_hook_config)(config, paths, run.steps_per_epoch)
    hook = Hook.create(file, run.first_step) if file else None
    if hook is not None:
        hook.loss_scale = run.loss_scale
        hook.attach(run.module, run.loss)
    return hook


def _hook_config(config: TrainConfig, paths: ContainerPaths, steps: int) -> Path:
    """The job's, or Sortbox's own, which starts with an empty tensor folder."""
    job_config = paths.config / hook_config.CONFIG_FILE
    if job_config.exists():
        return job_config
    tensors = paths.output / hook_config.TENSORS_FOLDER
    file = paths.output / hook_config.CONFIG_FILE
    shutil.rmtree(tensors, ignore_errors=True)
    paths.output.mkdir(parents=True, exist_ok=True)
    interval_steps = hook_config.interval(config.epochs * steps, config.unfreeze != "head")
    hook_config.write(file, tensors, config.debug_interval or interval_steps)
    return file


def _rules(config: TrainConfig) -> list[RuleConfig]:
    """All rules, with the parameters that hyperparameters set."""
    parameters = {StalledTrainingRule: {"threshold": str(config.stall_seconds)}}
    return [RuleConfig(rule, parameters.get(rule, {})) for rule in ALL_RULES]


def _stopping_rules(config: TrainConfig) -> frozenset[str]:
    words = {"any": hook_config.RULES, "none": ()}
    return frozenset(words.get(config.stop_on, config.stop_on.split(",")))
