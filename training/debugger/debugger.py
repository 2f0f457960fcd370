"""The debugger: smdebug's hook, our rules on what it saves, and what becomes of their findings."""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from threading import Event, Lock, Thread

import torch

from training.config import hook_config
from training.config.paths import Places
from training.config.train_config import TrainConfig
from training.debugger import smdebug_compat
from training.debugger.evaluator import EVERY, Asked, Jury
from training.debugger.hook import Hook
from training.debugger.interface import NullDebugger, Training, Watch, write_report
from training.debugger.report import ISSUE, Verdict, Watched
from training.debugger.rules.tensor import StalledTrainingRule
from training.debugger.smdebug_compat import ModeKeys
from training.debugger.tensors import Tensors
from training.reports.plots import Points

READING = 0.05
"""Of the time, for rules to read what was saved: epochs of a head last as long as reading does."""


LOOKS = 20
"""In the time that is waited for."""


class Alarm:
    """A thread that looks at a clock, and rings once at most."""

    def __init__(
        self, seconds: float, silence: Callable[[], float], ring: Callable[[float], None]
    ) -> None:
        """`silence`: seconds since the last sign of life."""
        self._seconds = seconds
        self._silence = silence
        self._ring = ring
        self._over = Event()
        self._thread = Thread(target=self._listen, name="stall", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.wait(self._seconds / LOOKS):
            silent = self._silence()
            if silent > self._seconds:
                self._ring(silent)
                return

    def close(self) -> None:
        self._over.set()
        self._thread.join()


class Debugger:
    def __init__(
        self,
        hook: Hook,
        jury: Jury,
        stop_on: frozenset[str],
        patience: float,
        about: Watched,
        places: Places,
        say: Callable[[str], None],
    ) -> None:
        """`patience`: seconds without a step; `about`: what is known before the first."""
        self._hook = hook
        self._jury = jury
        self._turn = Lock()
        """Of the loop's thread and the alarm's, to ask the jury."""
        self._stop_on = stop_on
        self._about = about
        self._places = places
        self._say = say
        self._failed = ""
        self._due = 0.0
        """When rules may read again."""
        self._alarm = Alarm(patience, lambda: hook.silence, self._stalled)

    def labels(self, labels: torch.Tensor) -> None:
        self._hook.labels(labels)

    def judged(self, split: str, loss: float, learnt: float) -> None:
        self._hook.judged(split, loss, learnt)

    def exploded(self, loss: float) -> None:
        self._hook.exploded(loss)

    def asks_to_stop(self) -> bool:
        """A rule that may end training is asked after every epoch."""
        if not self._stop_on and time.monotonic() < self._due:
            return False
        return self._ask()

    def _ask(self) -> bool:
        began = time.monotonic()
        self._hook.flush()
        with self._turn:
            new = smdebug_compat.guarded(self._jury.hear)() or []
        self._notice_failure()
        self._due = time.monotonic() + (time.monotonic() - began) / READING
        return self._tell(new)

    def _tell(self, new: Sequence[Verdict]) -> bool:
        """Whether one of them is to end training."""
        for verdict in new:
            self._say(f"{verdict.rule}: {verdict.sentence} {verdict.advice}".rstrip())
        stops = [each for each in new if each.state == ISSUE and each.rule in self._stop_on]
        if stops:
            self._say(f"{stops[0].rule} ends training (stop-on)")
        return bool(stops)

    def _stalled(self, silent: float) -> None:
        """By the alarm's thread, while the loop's waits for what does not come."""
        with self._turn:
            new = self._jury.wait(silent, self._hook.steps)
        is_to_end = self._tell(new)
        write_report(self, self._places, self._say)  # whoever ends the job finds it
        if is_to_end:
            self._places.fail(" ".join(f"{each.rule}: {each.sentence}" for each in new))
            os._exit(1)  # no other way: a thread that waits in the system hears nothing

    def _notice_failure(self) -> None:
        error = smdebug_compat.last_error()
        if error is not None and not self._failed:
            self._failed = f"{type(error).__name__}: {error}"
            self._say(f"the debugger is off, and training goes on: {self._failed}")

    def close(self) -> None:
        self._alarm.close()
        self._ask()
        self._hook.close()
        self._notice_failure()

    def told(self) -> Watched:
        with self._turn:
            return self._told()

    def _told(self) -> Watched:
        state, why = ("failed", self._failed) if self._failed else ("on", self._about.why)
        told = replace(self._about, state=state, why=why, verdicts=tuple(self._jury.verdicts()))
        saved = self._jury.tensors
        if saved is None:
            return told
        return replace(
            told,
            losses={
                "train": saved.curve(ModeKeys.TRAIN),
                "train, mean": saved.learnt(),
                "validation": saved.curve(ModeKeys.EVAL),
                "test": saved.curve(ModeKeys.PREDICT),
            },
            gradients=_means(saved),
            looks=len(saved.steps()),
            bytes=sum(path.stat().st_size for path in saved.folder.rglob("*") if path.is_file()),
        )


def _means(saved: Tensors) -> Mapping[str, Points]:
    """Of the layers' mean absolute gradients, the smallest, the middle and the largest."""
    found: dict[str, list[tuple[float, float]]] = {"smallest": [], "median": [], "largest": []}
    for step in saved.steps():
        mode, number = saved.at(step)
        means = saved.numbers(step, "gradients", "mean", True) if mode == ModeKeys.TRAIN else {}
        if means:
            values = min(means.values()), median(means.values()), max(means.values())
            for line, value in zip(found.values(), values, strict=True):
                line.append((number + 1, value))
    return found


def debugger(
    told: TrainConfig, places: Places, training: Training, say: Callable[[str], None]
) -> Watch:
    """By the job's DebugHookConfig where it brings one, else by our own."""
    given = places.config / hook_config.CONFIG
    made = _hook(told, places, training)
    if made is None:
        error = smdebug_compat.last_error()
        why = f"{type(error).__name__}: {error}"
        say(f"the debugger is off, and training goes on: {why}")
        return NullDebugger(f"The hook could not be made. {why}", "failed")
    by = "the job's DebugHookConfig" if given.exists() else "training's own configuration"
    about = Watched("on", f"Saved as {by} says.", tuple(sorted(made.include_collections)))
    jury = Jury(Path(made.out_dir), _rules(told))
    return Debugger(made, jury, _stops(told), told.stall_seconds, about, places, say)


def _hook(told: TrainConfig, places: Places, training: Training) -> Hook | None:
    smdebug_compat.start_anew()
    config = smdebug_compat.guarded(_config)(told, places, training.steps_per_epoch)
    hook = Hook.of(config, training.first_step) if config else None
    if hook is not None:
        hook.scale = training.scale
        hook.watch(training.module, training.loss)
    return hook


def _config(told: TrainConfig, places: Places, steps: int) -> Path:
    """The job's, or ours, beside a folder without the tensors of an earlier run."""
    given = places.config / hook_config.CONFIG
    if given.exists():
        return given
    tensors, config = places.output / hook_config.TENSORS, places.output / hook_config.CONFIG
    shutil.rmtree(tensors, ignore_errors=True)
    places.output.mkdir(parents=True, exist_ok=True)
    every = hook_config.interval(told.epochs * steps, told.unfreeze != "head")
    hook_config.write(config, tensors, told.debug_interval or every)
    return config


def _rules(told: TrainConfig) -> list[Asked]:
    """All of ours, with what a person may set."""
    own = {StalledTrainingRule: {"threshold": str(told.stall_seconds)}}
    return [Asked(rule, own.get(rule, {})) for rule in EVERY]


def _stops(told: TrainConfig) -> frozenset[str]:
    words = {"any": hook_config.RULES, "none": ()}
    return frozenset(words.get(told.stop_on, told.stop_on.split(",")))
