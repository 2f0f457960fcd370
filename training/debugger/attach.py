"""Attaches the debugger to a training run, or records why there is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from training.context import TrainContext
from training.debugger.interface import DebuggedRun, Debugger, NullDebugger, write_report


@contextmanager
def attach_debugger(context: TrainContext, run: DebuggedRun) -> Iterator[Debugger]:
    """Writes the report however the run ends."""
    debugger = _choose_debugger(context, run)
    try:
        yield debugger
    finally:
        debugger.close()
        if context.distributed.is_main:
            write_report(debugger, context)


def _choose_debugger(context: TrainContext, run: DebuggedRun) -> Debugger:
    if context.config.debug == "off":
        return NullDebugger("Debugging is off (debug=off).")
    if not context.distributed.is_main:
        return NullDebugger("Only the main process is debugged.")
    if find_spec("smdebug") is None:
        return NullDebugger("smdebug is not installed in this image.")
    # Takes a second to import.
    from training.debugger.debugger import create_debugger

    return create_debugger(context, run)
