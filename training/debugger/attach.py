"""Who watches a training run for its debug report: the debugger, or nobody, and why nobody."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from training.config.paths import Places
from training.config.train_config import TrainConfig
from training.debugger.interface import NullDebugger, Training, Watch, write_report
from training.distributed import World


@contextmanager
def watched(
    told: TrainConfig, places: Places, world: World, training: Training, say: Callable[[str], None]
) -> Iterator[Watch]:
    """The report is written however the run ends."""
    watch = _watch(told, places, world, training, say)
    try:
        yield watch
    finally:
        watch.close()
        if world.leads:
            write_report(watch, places, say)


def _watch(
    told: TrainConfig, places: Places, world: World, training: Training, say: Callable[[str], None]
) -> Watch:
    if told.debug == "off":
        return NullDebugger("It was switched off (debug=off).")
    if not world.leads:
        return NullDebugger("The first process of the job is watched.")
    if find_spec("smdebug") is None:
        return NullDebugger("smdebug is not in this container's image.")
    # A second to import, for those who want it.
    from training.debugger.debugger import debugger

    return debugger(told, places, training, say)
