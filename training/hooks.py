"""smdebug's hook on a network: losses, reductions of gradients and weights, dead ReLUs.

Whatever goes wrong inside, it goes silent and training goes on: smdebug catches its own errors
where its configuration is the default one, so this hook says that it is.
"""

import atexit
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training import smd
from training.event_files import EventFile
from training.smd import ModeKeys, guarded

LOSS, EPOCH_LOSS = "CrossEntropyLoss", "EpochLoss"
MODES = {"train": ModeKeys.TRAIN, "validation": ModeKeys.EVAL, "test": ModeKeys.PREDICT}
LABELS = 50
"""Steps whose labels wait for the next look."""

RELUS = (nn.ReLU, nn.ReLU6)


class Hook(smd.Hook):  # type: ignore[misc]
    scale: Callable[[], float] = staticmethod(lambda: 1.0)
    """By which the loss, and so every gradient, is multiplied before it runs backwards."""

    @classmethod
    def of(cls, config: Path, step: int) -> "Hook | None":
        """By debughookconfig.json, in a run that has made `step` steps; None where it cannot be."""
        made: Hook = guarded(cls.create_from_json_file)(str(config))
        if smd.last_error():
            return None
        atexit.unregister(made._cleanup)
        made._handles = []
        made._labels = deque(maxlen=LABELS)
        made.set_mode(ModeKeys.TRAIN)
        made.mode_steps[ModeKeys.TRAIN] = step - 1
        return made

    def has_default_configuration(self) -> bool:
        return True

    def watch(self, module: nn.Module, loss: nn.Module) -> None:
        """smdebug's own register_module keeps no handles, and looks at every layer's output."""
        name = type(module).__name__
        vars(module)["_module_name"] = name
        vars(loss)["_module_name"] = LOSS
        self._handles += [
            module.register_forward_pre_hook(self._begins),
            loss.register_forward_hook(self._learns),
        ]
        for path, parameter in module.named_parameters():
            tensor = f"{self.GRADIENT_PREFIX}{name}_{path}"
            self._handles.append(parameter.register_hook(self._gradient(tensor)))  # type: ignore[no-untyped-call]
        for path, layer in module.named_modules():
            if isinstance(layer, RELUS):
                self._handles.append(layer.register_forward_hook(self._activation(path)))

    def judged(self, split: str, loss: float, learnt: float) -> None:
        """One pass over a split is one step of its mode; `learnt`: the epoch's mean loss."""
        self.set_mode(MODES[split])
        self.forward_pre_hook(_NOTHING, ())
        self.record_tensor_value(LOSS, torch.tensor(loss))
        self.record_tensor_value(EPOCH_LOSS, torch.tensor(learnt))
        self._save_step()
        self.set_mode(ModeKeys.TRAIN)

    @guarded
    def labels(self, labels: torch.Tensor) -> None:
        """Of a training step's images. A look saves those of the steps before it, too."""
        self._labels.append(labels)
        if self._collections_to_save_for_step:
            self._save_for_tensor("labels", torch.cat(list(self._labels)))
            self._labels.clear()

    @guarded
    def exploded(self, loss: float) -> None:
        """The last step of a run that ends by it is saved, whatever the interval."""
        self._initialize_writers(only_initialize_if_missing=True)
        self._write_raw_tensor_simple(f"{LOSS}_output_0", torch.tensor(loss))

    @guarded
    def flush(self) -> None:
        """What was saved can be read from now on."""
        if self.prepared_collections:
            self._close_writers()
            self.export_collections()

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
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
        if not module.training:
            return
        if self._is_due(self.mode_steps[ModeKeys.TRAIN] + 1):
            self.forward_pre_hook(module, inputs)
            self._note_time()
        else:
            self._pass_over()

    def _is_due(self, step: int) -> bool:
        """Asked before smdebug is: its own way to say no takes a tenth of a head's step."""
        return not self.prepared_collections or any(
            each.save_config.should_save_step(ModeKeys.TRAIN, step)
            for each in self._collections_to_save
        )

    @guarded
    def _pass_over(self) -> None:
        if self.writer is not None:
            self._close_writers()
        self.step += 1
        self.mode_steps[ModeKeys.TRAIN] += 1
        self.mode_steps[ModeKeys.GLOBAL] = self.step
        self._collections_to_save_for_step: set[object] = set()

    @guarded
    def _note_time(self) -> None:
        if self._collections_to_save_for_step:
            self._save_for_tensor("seconds", torch.tensor(time.time(), dtype=torch.float64))

    @guarded
    def _learns(self, loss: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if self._collections_to_save_for_step:
            self._write_outputs(LOSS, output.detach())
            self.last_saved_step = self.step

    @guarded
    def _save_step(self) -> None:
        self.last_saved_step = self.step
        self._close_writers()

    def _gradient(self, name: str) -> Callable[[torch.Tensor], None]:
        @guarded
        def back(gradient: torch.Tensor) -> None:
            if self._collections_to_save_for_step:
                self._save_for_tensor(name, gradient / self.scale())

        return back

    def _activation(self, name: str) -> Callable[..., None]:
        @guarded
        def look(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            if self.is_training_step and self._collections_to_save_for_step:
                times = self.written_tensor_name_for_step[name]
                self.written_tensor_name_for_step[name] += 1
                self._save_for_tensor(f"{name}_dead_{times}", dead(output.detach()))

        return look

    @property
    def is_training_step(self) -> bool:
        return bool(self.mode == ModeKeys.TRAIN and self.writer is not None)


def dead(output: torch.Tensor) -> torch.Tensor:
    """The share of a ReLU's channels that no image of the batch made fire."""
    others = [dimension for dimension in range(output.ndim) if dimension != 1]
    return (output.amax(others) <= 0).float().mean()


_NOTHING = nn.Module()
"""What a pass that only looks is said to run through, so that it saves no weights again."""
vars(_NOTHING)["_module_name"] = "nothing"
