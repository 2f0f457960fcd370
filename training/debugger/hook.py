"""smdebug's hook on a network: losses, reductions of gradients and weights, dead ReLUs.

Whatever goes wrong inside, it goes silent and training goes on: smdebug catches its own errors
where its configuration is the default one, so this hook says that it is.

Between two looks only the beginning of a step is noticed. Parameters, loss and ReLUs are hooked for
the steps that are looked at: a head's step is so short that hooks which decline would be felt.
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
    guarded,
)

LOSS, EPOCH_LOSS = "CrossEntropyLoss", "EpochLoss"
MODES = {"train": ModeKeys.TRAIN, "validation": ModeKeys.EVAL, "test": ModeKeys.PREDICT}
LABELS = 10
"""Steps whose labels wait for the next look."""

RELUS = (nn.ReLU, nn.ReLU6)


class EventFile(EventFileWriter):  # type: ignore[misc]
    """smdebug's event files, written by whoever saves a tensor.

    smdebug hands tensors to a thread, which dies of a full disk; training would then wait for it
    for ever, once the queue between them is full.
    """

    def __init__(self, path: str, index_writer: Any) -> None:
        """Without the thread that the writer it replaces would start."""
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
            self._ev_writer.tfrecord_writer = None  # its destructor would try once more


class Hook(smdebug_compat.Hook):  # type: ignore[misc]
    scale: Callable[[], float] = staticmethod(lambda: 1.0)
    """By which the loss, and so every gradient, is multiplied before it runs backwards."""
    _longest: float
    """Seconds without a batch, since the last look."""

    @classmethod
    def of(cls, config: Path, step: int) -> "Hook | None":
        """By debughookconfig.json, in a run that has made `step` steps; None where it cannot be."""
        made: Hook = guarded(cls.create_from_json_file)(str(config))
        guarded(cls._prepare)(made)
        if smdebug_compat.last_error():
            return None
        made._handles, made._looking = [], []
        made._labels = deque(maxlen=LABELS)
        made._alive, made._longest = time.monotonic(), 0.0
        made.set_mode(ModeKeys.TRAIN)
        made.mode_steps[ModeKeys.TRAIN] = step - 1
        return made

    def _prepare(self) -> None:
        """What smdebug does at the first step; and there is no other process to tell of it, by a
        file for which it would wait for the disk, and which a killed run leaves behind.
        """
        atexit.unregister(self._cleanup)
        self.first_process = True
        self._prepare_collections()
        self.prepared_collections = True

    def has_default_configuration(self) -> bool:
        return True

    def watch(self, module: nn.Module, loss: nn.Module) -> None:
        """smdebug's own register_module keeps no handles, and looks at every layer's output."""
        self._module, self._loss = module, loss
        vars(module)["_module_name"] = type(module).__name__
        vars(loss)["_module_name"] = LOSS
        self._handles.append(module.register_forward_pre_hook(self._begins))

    @property
    def silence(self) -> float:
        """Seconds since the network was last given something, to learn from or to judge."""
        return time.monotonic() - self._alive

    @property
    def steps(self) -> int:
        """Training steps begun."""
        return int(self.mode_steps[ModeKeys.TRAIN]) + 1

    def judged(self, split: str, loss: float, learnt: float) -> None:
        """One pass over a split is one step of its mode; `learnt`: the epoch's mean loss."""
        self.set_mode(MODES[split])
        self.forward_pre_hook(_NOTHING, ())
        self.record_tensor_value(LOSS, torch.tensor(loss))
        self.record_tensor_value(EPOCH_LOSS, torch.tensor(learnt))
        self._save_step()
        self.set_mode(ModeKeys.TRAIN)

    def labels(self, labels: torch.Tensor) -> None:
        """Of a training step's images. A look saves those of the steps before it, too."""
        self._labels.append(labels)
        if self._looking:
            self._save_labels()

    @guarded
    def exploded(self, loss: float) -> None:
        """The last step of a run that ends by it is saved, whatever the interval."""
        self._initialize_writers(only_initialize_if_missing=True)
        self._write_raw_tensor_simple(f"{LOSS}_output_0", torch.tensor(loss))

    @guarded
    def flush(self) -> None:
        """What was saved can be read from now on."""
        if self.last_saved_step is not None:
            self._close_writers()
            self.export_collections()

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._look_away()
        guarded(super().close)()

    def _initialize_writers(self, only_initialize_if_missing: bool = False) -> None:
        super()._initialize_writers(only_initialize_if_missing)
        if self.writer is not None and self.writer._proto_writer is None:
            self.writer._proto_writer = EventFile(
                self.writer.event_file_path, self.writer.index_writer
            )

    def log_outstanding_timeline_metrics(self) -> None:
        """smdebug's own profiler is not used."""

    def _log_params(self, module: nn.Module) -> None:
        """Without the scales of norms, which begin alike and say little."""
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1 or name.endswith("bias"):
                self._save_for_tensor(f"{type(module).__name__}_{name}", parameter.data)

    def _begins(self, module: nn.Module, inputs: Any) -> None:
        """Of any pass; the look before it is over, though it be one that only judges."""
        self._look_away()
        self._longest = max(self._longest, self.silence)
        self._alive = time.monotonic()
        if not module.training:
            return
        if self._is_due(self.mode_steps[ModeKeys.TRAIN] + 1):
            self.forward_pre_hook(module, inputs)
            if self._collections_to_save_for_step:
                self._look()
        else:
            self._pass_over()

    @guarded
    def _is_due(self, step: int) -> bool:
        """Asked before smdebug is: its own way to say no takes a tenth of a head's step."""
        return any(each.should_save_step(step) for each in self._intervals)

    @cached_property
    def _intervals(self) -> list[Any]:
        """Those of training, each once: smdebug keeps one for each collection."""
        found: list[Any] = []
        for collection in self._collections_to_save:
            interval = collection.save_config.get_save_config(ModeKeys.TRAIN)
            found += [interval] if interval not in found else []
        return found

    def _pass_over(self) -> None:
        if self.writer is not None:
            self._save_step()
        self.step += 1
        self.mode_steps[ModeKeys.TRAIN] += 1
        self.mode_steps[ModeKeys.GLOBAL] = self.step
        self._collections_to_save_for_step: set[object] = set()

    @guarded
    def _look(self) -> None:
        self._save_for_tensor("seconds", torch.tensor(self._longest))
        self._longest = 0.0
        self._looking.append(self._loss.register_forward_hook(self._learns))
        name = type(self._module).__name__
        for path, parameter in self._module.named_parameters():
            if parameter.requires_grad:
                back = self._gradient(f"{self.GRADIENT_PREFIX}{name}_{path}")
                self._looking.append(parameter.register_hook(back))  # type: ignore[no-untyped-call]
        for path, layer in self._module.named_modules():
            if isinstance(layer, RELUS):
                self._looking.append(layer.register_forward_hook(self._activation(path)))

    def _look_away(self) -> None:
        for handle in self._looking:
            handle.remove()
        self._looking.clear()

    @guarded
    def _save_labels(self) -> None:
        self._save_for_tensor("labels", torch.cat(list(self._labels)))
        self._labels.clear()

    @guarded
    def _learns(self, loss: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._write_outputs(LOSS, output.detach())
        self.last_saved_step = self.step

    @guarded
    def _save_step(self) -> None:
        self.last_saved_step = self.step
        self._close_writers()

    def _gradient(self, name: str) -> Callable[[torch.Tensor], None]:
        @guarded
        def back(gradient: torch.Tensor) -> None:
            self._save_for_tensor(name, gradient / self.scale())

        return back

    def _activation(self, name: str) -> Callable[..., None]:
        @guarded
        def look(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            times = self.written_tensor_name_for_step[name]
            self.written_tensor_name_for_step[name] += 1
            self._save_for_tensor(f"{name}_dead_{times}", dead(output.detach()))

        return look


def dead(output: torch.Tensor) -> torch.Tensor:
    """The share of a ReLU's channels that no image of the batch made fire."""
    others = [dimension for dimension in range(output.ndim) if dimension != 1]
    return (output.amax(others) <= 0).float().mean()


_NOTHING = nn.Module()
"""What a pass that only looks is said to run through, so that it saves no weights again."""
vars(_NOTHING)["_module_name"] = "nothing"
