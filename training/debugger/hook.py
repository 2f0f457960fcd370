"""smdebug's hook on a network: losses, reductions of gradients and weights, dead ReLUs.

After an error inside the hook training continues without it: smdebug catches its own errors if its
configuration is the default one, so this hook says that it is.

Between two saved steps only a forward pre-hook is registered. Parameters, loss and ReLUs are hooked
for the steps that are saved: a head's step is so short that idle hooks would slow it down.
"""

import atexit
import time
from collections import deque
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from queue import Queue
from typing import Any

import torch
from torch import nn

from training.debugger import smdebug_compat
from training.debugger.smdebug_compat import (
    EventFileWriter,
    EventsWriter,
    LoggerThread,
    ModeKeys,
    guard,
)

LOSS, EPOCH_LOSS = "CrossEntropyLoss", "EpochLoss"
MODES = {"train": ModeKeys.TRAIN, "validation": ModeKeys.EVAL, "test": ModeKeys.PREDICT}
LABEL_STEPS = 10
"""Steps whose labels are kept for the next saved step."""

RELUS = (nn.ReLU, nn.ReLU6)


class EventFile(EventFileWriter):  # type: ignore[misc]
    """smdebug's event files, written in the thread that saves a tensor.

    smdebug's own writer thread dies when the disk is full; training would then block forever
    on its full queue.
    """

    def __init__(self, path: str, index_writer: Any) -> None:
        """Does not start the writer thread of the base class."""
        self._ev_writer = EventsWriter(path=path, index_writer=index_writer)
        self._ev_writer.init()
        self._end = object()
        self._waiting: Queue[Any] = Queue()
        self._worker = LoggerThread(self._waiting, self._ev_writer, 0, self._end)

    def write_event(self, event: Any) -> None:
        """Raises OSError."""
        self._waiting.put(event)
        self._waiting.put(self._end)
        self._worker.run()

    def flush(self) -> None:
        self._ev_writer.flush()

    def close(self) -> None:
        try:
            self._ev_writer.close()
        finally:
            self._ev_writer.tfrecord_writer = None  # its destructor would close again


class Hook(smdebug_compat.Hook):  # type: ignore[misc]
    loss_scale: Callable[[], float] = staticmethod(lambda: 1.0)
    """The factor of the gradient scaler: gradients are divided by it."""
    _longest_wait: float
    """Seconds without a batch since the last saved step."""

    @classmethod
    def create(cls, config: Path, step: int) -> "Hook | None":
        """From debughookconfig.json, after `step` steps; None after an error in smdebug."""
        hook: Hook = guard(cls.create_from_json_file)(str(config))
        guard(cls._prepare)(hook)
        if smdebug_compat.last_error():
            return None
        hook._handles, hook._looking = [], []
        hook._labels = deque(maxlen=LABEL_STEPS)
        hook._last_batch_time, hook._longest_wait = time.monotonic(), 0.0
        hook.set_mode(ModeKeys.TRAIN)
        hook.mode_steps[ModeKeys.TRAIN] = step - 1
        return hook

    def _prepare(self) -> None:
        """What smdebug does at the first step, without the file by which it coordinates processes:
        there is one process, and a killed run would leave the file behind.
        """
        atexit.unregister(self._cleanup)
        self.first_process = True
        self._prepare_collections()
        self.prepared_collections = True

    def has_default_configuration(self) -> bool:
        return True

    def attach(self, module: nn.Module, loss: nn.Module) -> None:
        """smdebug's own register_module keeps no handles and hooks every layer's output."""
        self._module, self._loss = module, loss
        vars(module)["_module_name"] = type(module).__name__
        vars(loss)["_module_name"] = LOSS
        self._handles.append(module.register_forward_pre_hook(self._on_forward))

    @property
    def idle_seconds(self) -> float:
        """Seconds since the network's last forward pass began."""
        return time.monotonic() - self._last_batch_time

    @property
    def steps_begun(self) -> int:
        """Training steps begun."""
        return int(self.mode_steps[ModeKeys.TRAIN]) + 1

    def record_evaluation(self, split: str, loss: float, train_loss: float) -> None:
        """One pass over a split is one step of its mode; `train_loss`: the epoch's mean."""
        self.set_mode(MODES[split])
        self.forward_pre_hook(_NOTHING, ())
        self.record_tensor_value(LOSS, torch.tensor(loss))
        self.record_tensor_value(EPOCH_LOSS, torch.tensor(train_loss))
        self._save_step()
        self.set_mode(ModeKeys.TRAIN)

    def record_labels(self, labels: torch.Tensor) -> None:
        """The labels of a training step. A saved step includes those of the steps before it."""
        self._labels.append(labels)
        if self._looking:
            self._save_labels()

    @guard
    def record_divergence(self, loss: float) -> None:
        """Save the loss that ends the run, whatever the interval."""
        self._initialize_writers(only_initialize_if_missing=True)
        self._write_raw_tensor_simple(f"{LOSS}_output_0", torch.tensor(loss))

    @guard
    def flush(self) -> None:
        """Make what was saved readable."""
        if self.last_saved_step is not None:
            self._close_writers()
            self.export_collections()

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._unhook_step()
        guard(super().close)()

    def _initialize_writers(self, only_initialize_if_missing: bool = False) -> None:
        super()._initialize_writers(only_initialize_if_missing)
        if self.writer is not None and self.writer._proto_writer is None:
            self.writer._proto_writer = EventFile(
                self.writer.event_file_path, self.writer.index_writer
            )

    def log_outstanding_timeline_metrics(self) -> None:
        """smdebug's profiler is not used."""

    def _log_params(self, module: nn.Module) -> None:
        """Without the scales of norms, which start out equal and say little."""
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1 or name.endswith("bias"):
                self._save_for_tensor(f"{type(module).__name__}_{name}", parameter.data)

    def _on_forward(self, module: nn.Module, inputs: Any) -> None:
        """At the start of any forward pass; it ends the saved step before it."""
        self._unhook_step()
        self._longest_wait = max(self._longest_wait, self.idle_seconds)
        self._last_batch_time = time.monotonic()
        if not module.training:
            return
        if self._is_due(self.mode_steps[ModeKeys.TRAIN] + 1):
            self.forward_pre_hook(module, inputs)
            if self._collections_to_save_for_step:
                self._hook_step()
        else:
            self._skip_step()

    @guard
    def _is_due(self, step: int) -> bool:
        """Checked before smdebug does: its own check takes a tenth of a head's step."""
        return any(interval.should_save_step(step) for interval in self._intervals)

    @cached_property
    def _intervals(self) -> list[Any]:
        """The distinct intervals for training: smdebug keeps one per collection."""
        intervals: list[Any] = []
        for collection in self._collections_to_save:
            interval = collection.save_config.get_save_config(ModeKeys.TRAIN)
            intervals += [interval] if interval not in intervals else []
        return intervals

    def _skip_step(self) -> None:
        if self.writer is not None:
            self._save_step()
        self.step += 1
        self.mode_steps[ModeKeys.TRAIN] += 1
        self.mode_steps[ModeKeys.GLOBAL] = self.step
        self._collections_to_save_for_step: set[object] = set()

    @guard
    def _hook_step(self) -> None:
        self._save_for_tensor("seconds", torch.tensor(self._longest_wait))
        self._longest_wait = 0.0
        self._looking.append(self._loss.register_forward_hook(self._on_loss))
        name = type(self._module).__name__
        for path, parameter in self._module.named_parameters():
            if parameter.requires_grad:
                back = self._gradient(f"{self.GRADIENT_PREFIX}{name}_{path}")
                self._looking.append(parameter.register_hook(back))  # type: ignore[no-untyped-call]
        for path, layer in self._module.named_modules():
            if isinstance(layer, RELUS):
                self._looking.append(layer.register_forward_hook(self._activation(path)))

    def _unhook_step(self) -> None:
        for handle in self._looking:
            handle.remove()
        self._looking.clear()

    @guard
    def _save_labels(self) -> None:
        self._save_for_tensor("labels", torch.cat(list(self._labels)))
        self._labels.clear()

    @guard
    def _on_loss(self, loss: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._write_outputs(LOSS, output.detach())
        self.last_saved_step = self.step

    @guard
    def _save_step(self) -> None:
        self.last_saved_step = self.step
        self._close_writers()

    def _gradient(self, name: str) -> Callable[[torch.Tensor], None]:
        @guard
        def back(gradient: torch.Tensor) -> None:
            self._save_for_tensor(name, gradient / self.loss_scale())

        return back

    def _activation(self, name: str) -> Callable[..., None]:
        @guard
        def save_dead_share(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            times = self.written_tensor_name_for_step[name]
            self.written_tensor_name_for_step[name] += 1
            self._save_for_tensor(f"{name}_dead_{times}", dead_share(output.detach()))

        return save_dead_share


def dead_share(output: torch.Tensor) -> torch.Tensor:
    """The share of a ReLU's channels that are zero for every image of the batch (B, C, …)."""
    others = [dimension for dimension in range(output.ndim) if dimension != 1]
    return (output.amax(others) <= 0).float().mean()


_NOTHING = nn.Module()
"""Stands for the network in an evaluation pass, so that its weights are not saved again."""
vars(_NOTHING)["_module_name"] = "nothing"
