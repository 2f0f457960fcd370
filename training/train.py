"""The container's `train`: from a folder of images to a model that serves, from top to bottom.

`python -m training.train` where SageMaker has laid out /opt/ml, or anywhere else with the folders
named by SM_*; every hyperparameter is a flag as well. Exit status: 0 done, 1 failed (the sentence
is in `failure`), 143 interrupted (a checkpoint is saved; the same job, started again, goes on).
"""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from domain.class_folders import WEIGHTS
from training import launcher
from training.config import metrics, search_space, train_config, trials
from training.config.errors import Interrupted, sentence
from training.config.paths import Places
from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.data.dataset import Dataset
from training.data.feature_extractor import embed_by
from training.data.loader import Images
from training.debugger import attach
from training.debugger.interface import Training
from training.distributed import World
from training.evaluation.accuracy import judged
from training.loop import checkpoint, in_process_search, setup
from training.loop.fit import Loop
from training.loop.setup import Lesson
from training.loop.state import Course
from training.model import package, pretrained
from training.model.compile import compiled, told_in_words
from training.model.pretrained import Start
from training.profiler import timing as profiling
from training.profiler.timing import Timing
from training.reports import model_card, training_report

INTERRUPTED = 128 + signal.SIGTERM

Say = Callable[[str], None]


class Stop:
    """Whether SIGTERM came. It is looked at between steps: no handler interrupts one."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self) -> bool:
        return self.came

    def note(self, number: int, frame: object) -> None:
        self.came = True

    def go_on(self) -> None:
        if self.came:
            raise Interrupted


def train(
    told: TrainConfig, places: Places, world: World, stop: Stop, timing: Timing, say: Say
) -> None:
    """Raises TrainingFailed or Interrupted; `places.model` is filled by the last step only."""
    if told.search != "none":
        search_space.check_one_job(told)
    dataset = data.prepare(places.channels, told.selects, told.max_unreadable, stop.go_on)
    say(data.described(dataset))
    start = pretrained.start(told, len(dataset.labels), places.channels / WEIGHTS)
    say(f"{told.arch}, {start.origin}, on {world.device}; what learns: {told.unfreeze}")
    with (
        Images(dataset, start.preprocessing, told, world) as images,
        tempfile.TemporaryDirectory(prefix="sortbox-") as scratch,
    ):
        prepared = _lesson(told, start, dataset, images, Path(scratch), world, stop, say)
        if prepared.engine:
            say(f"features by {prepared.engine}")
        told, course = _begun(told, prepared, dataset, places, world, stop, say)
        run = model_card.identity(told, dataset, start)
        course.restore(checkpoint.read(places.checkpoints, run))
        if course.step:
            say(f"resumed after step {course.step}")
        _learn(told, prepared, course, dataset, places, run, world, stop, timing, say)
        network = prepared.whole()
        look, _ = embed_by(network, start.preprocessing.crop, world.device, exact=True)
        split = dataset.splits[dataset.judge]
        final = judged(look, images.judged(dataset.judge), len(split), world)
        say(metrics.line({"final_accuracy": final.accuracy, "final_loss": final.loss}))
        if world.leads:
            made, packed = model_card.made(told, start, dataset, final, network)
            made, files = compiled(told, made, packed, dataset, images)
            say(told_in_words(made))
            training_report.write(places.reports, made, dataset, course.history, final)
            package.write(made, packed, places.model, files)


def _learn(
    told: TrainConfig,
    prepared: Lesson,
    course: Course,
    dataset: Dataset,
    places: Places,
    run: Mapping[str, str],
    world: World,
    stop: Stop,
    timing: Timing,
    say: Say,
) -> None:
    loss = setup.loss(told, dataset, world)
    training = Training(
        course.module, loss, course.scaler.get_scale, prepared.source.steps, course.step
    )
    with attach.watched(told, places, world, training, say) as watch:
        Loop(
            told,
            prepared.source,
            tuple(split for split in dataset.splits if split != "train"),
            len(dataset.labels),
            loss,
            setup.precision(told, world),
            world,
            lambda: checkpoint.write(places.checkpoints, run, course.state()),
            stop,
            say,
            watch,
            timing,
        ).run(course)


def _lesson(
    told: TrainConfig,
    start: Start,
    dataset: Dataset,
    images: Images,
    scratch: Path,
    world: World,
    stop: Stop,
    say: Say,
) -> Lesson:
    if told.unfreeze != "head":
        return setup.whole_network(start, images, world)

    def go_on(done: int, total: int) -> None:
        if any(world.summed(stop())):
            raise Interrupted
        if done == total or done % 1024 == 0:
            say(f"features of {done} of {total} images")

    return setup.head_alone(told, start, dataset, images, scratch, world, go_on)


def _begun(
    told: TrainConfig,
    prepared: Lesson,
    dataset: Dataset,
    places: Places,
    world: World,
    stop: Stop,
    say: Say,
) -> tuple[TrainConfig, Course]:
    """A course before its first step; of a search the best one, after its last."""
    if told.search == "none":
        return told, setup.begun(told, prepared.learner, world)
    found = in_process_search.searched(told, prepared, dataset, world, stop.go_on, say)
    trials.write(places.reports, told.objective, told.search, found.trials)
    for epoch in found.course.history:
        say(metrics.line(epoch))
    return found.told, found.course


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    places = Places.from_env(environ)
    try:
        told = train_config.read(places.config / "hyperparameters.json", arguments)
        machines = launcher.Machines.read(places.config)
        count = launcher.here(told.processes)
        if "RANK" not in environ:
            places.failure.unlink(missing_ok=True)  # of the run before this one
            if count * len(machines.names) > 1:
                return launcher.run(machines, count, arguments, environ)
        _train_as_one_of(World.from_env(environ), told, places)
    except Interrupted:
        return INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        places.fail(sentence(error))
        return 1
    return 0


def _train_as_one_of(world: World, told: TrainConfig, places: Places) -> None:
    stop = Stop()
    before = signal.signal(signal.SIGTERM, stop.note)
    try:
        say = _say if world.leads else _hush
        with world.joined(), profiling.profiled(told, places, world, say) as timing:
            train(told, places, world, stop, timing, say)
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    print(text, flush=True)


def _hush(text: str) -> None:
    pass


if __name__ == "__main__":
    # Else Kineto, by which torch records operators, writes of its own doings between the lines.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    sys.exit(main(sys.argv[1:], os.environ))
