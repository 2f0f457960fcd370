"""The container's `train`: from a folder of images to a model that serves, from top to bottom.

`python -m training.train` reads the folders of /opt/ml as SageMaker creates them, or the folders in
SM_*; every hyperparameter is a flag as well. Exit status: 0 completed, 1 failed (the sentence is in
`failure`), 143 interrupted (a checkpoint is saved; the same job resumes from it).
"""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from domain.errors import SortboxError
from training import launcher
from training.config import metrics, search_space, train_config, trials
from training.config.errors import FAILURE_LINE, Interrupted, failure_reason
from training.config.paths import ContainerPaths
from training.config.train_config import AUTO, TrainConfig
from training.context import TrainContext
from training.data import dataset as data
from training.data.feature_extractor import make_extractor
from training.data.loader import Images
from training.debugger.attach import attach_debugger
from training.debugger.interface import DebuggedRun
from training.distributed import Distributed
from training.evaluation import served
from training.evaluation.accuracy import Evaluations, evaluate
from training.evaluation.explained import explain_mistakes
from training.findings.in_training import check_measured, describe_findings
from training.loop import checkpoint, choose_network, in_process_search
from training.loop.fit import Loop
from training.loop.setup import initial_state, load_network, make_loss, make_setup
from training.model import compile as compiler
from training.model import package
from training.profiler.timing import StepTimer, attach_profiler
from training.reports import model_card, training_report

INTERRUPTED = 128 + signal.SIGTERM


def train(context: TrainContext, timer: StepTimer) -> None:
    """Raises TrainingFailed or Interrupted; `paths.model` is written by the last step only."""
    config, paths, distributed = context.config, context.paths, context.distributed
    log = context.log
    if config.search != "none":
        search_space.check_in_process(config)

    # Data: every image is read once and hashed before any time is spent on training.
    needs_test, max_unreadable = config.selects_by_validation, config.max_unreadable
    check_interrupt = context.check_interrupt
    dataset = data.prepare(paths.channels, needs_test, max_unreadable, check_interrupt)
    log(data.describe(dataset))

    with ExitStack() as resources:
        scratch = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="sortbox-")))

        # Network: the one that is named, or the best by validation; with a head on features that
        # are computed once, or whole, on images.
        choice = choose_network.choose(context, dataset, scratch) if config.arch == AUTO else None
        if choice:
            config, pretrained = choice.config, choice.pretrained
            context = replace(context, config=config)
        else:
            pretrained = load_network(context, dataset)
        images = Images(dataset, pretrained.preprocessing, config, distributed)
        resources.enter_context(images)
        setup = choice.setup if choice else make_setup(context, pretrained, images, scratch)

        # State: before the first step; after a search, the best trial after its last.
        if config.search == "none":
            state = initial_state(config, setup.model, distributed)
        else:
            result = choice.heads if choice else in_process_search.search(context, setup)
            space, tried, comparison = config.search, result.trials, result.comparison
            trials.write(paths.reports, config.objective, space, tried, comparison)
            log(comparison)
            for epoch_metrics in result.state.history:
                log(metrics.line(epoch_metrics))
            config, state = result.config, result.state
            context = replace(context, config=config)

        # Checkpoint: resume if the same run left one; another run's is an error.
        run = model_card.identity(config, dataset, pretrained)
        saved = checkpoint.read(paths.checkpoints, run)
        state.restore(saved)
        if saved:
            log(f"resumed after step {state.step}")

        # Training: to the last epoch, or until patience, a debugger rule or SIGTERM ends it.
        loss, steps = make_loss(config, dataset, distributed), setup.source.steps
        scale, counts = state.scaler.get_scale, dataset.class_images("train")
        debugged = DebuggedRun(state.model, loss, scale, steps, state.step, counts)
        with attach_debugger(context, debugged) as debugger:

            def save() -> None:
                checkpoint.write(paths.checkpoints, run, state.to_checkpoint())

            Loop(context, setup, loss, debugger, timer, save).run(state)

        # Evaluation: the whole network in fp32, on a split that selected nothing.
        network, side = setup.assemble_network(), pretrained.preprocessing.crop
        predict, _ = make_extractor(network, side, distributed.device, exact=True)
        test, count = dataset.test_split, len(dataset.splits[dataset.test_split])
        log(f"evaluates {count:,} {test} images in fp32")
        evaluation = evaluate(predict, images.eval_batches(test), count, distributed)
        log(metrics.line({"final_accuracy": evaluation.accuracy, "final_loss": evaluation.loss}))
        if not distributed.is_main:
            return

        # Model: compiled for a CPU if that predicts as well; reports first, the model last.
        card, weights = model_card.make_card(config, pretrained, dataset, evaluation, network)
        log("compiles for a CPU, and compares predictions")
        card, files = compiler.compile_for_cpu(config, card, weights, dataset, images)
        log(compiler.describe(card))
        engine = served.make_engine(card, weights, files)
        card, neighbours = served.calibrate(config, card, engine, dataset, images)
        log(served.describe(config, card))
        as_served = served.evaluate(card, engine, neighbours, dataset, images)
        measured = served.metrics(card, as_served)
        log(metrics.line(measured))
        card = replace(card, metrics={**card.metrics, **measured})
        log("checks the data")
        checked = check_measured(config, dataset, setup.measured, scratch, check_interrupt)
        log(describe_findings(checked))
        log("writes the reports")
        compared = choice.tried if choice else ()
        explained = explain_mistakes(network, evaluation, images)
        history = state.history
        results = Evaluations(evaluation, as_served, compared, explained)
        training_report.write(paths.reports, card, checked, history, results, paths.origin())
        files = {**files, **served.neighbour_files(neighbours)}
        package.write(card, weights, paths.model, files)


class StopSignal:
    """Whether SIGTERM was received. It is checked between steps: no handler interrupts one."""

    def __init__(self) -> None:
        self.received = False

    def __call__(self) -> bool:
        return self.received

    def handle(self, number: int, frame: object) -> None:
        self.received = True


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    paths = ContainerPaths.from_env(environ)
    try:
        config = train_config.read(paths.config / "hyperparameters.json", arguments)
        hosts = launcher.Hosts.read(paths.config)
        count = launcher.process_count(config.processes)
        if "RANK" not in environ:
            paths.failure.unlink(missing_ok=True)  # of the run before this one
            launcher.check_gpu(paths.config)
            if count * len(hosts.names) > 1:
                return launcher.run_processes(hosts, count, arguments, environ)
        _train_in_this_process(config, paths, Distributed.from_env(environ))
    except Interrupted:
        return INTERRUPTED
    except Exception as error:
        if not isinstance(error, SortboxError):  # whose sentence says it all
            traceback.print_exc()
        print(f"{FAILURE_LINE}{failure_reason(error)}", file=sys.stderr, flush=True)
        paths.write_failure(failure_reason(error))
        return 1
    return 0


def _train_in_this_process(
    config: TrainConfig, paths: ContainerPaths, distributed: Distributed
) -> None:
    stop = StopSignal()
    log = _print if distributed.is_main else _discard
    context = TrainContext(config, paths, distributed, stop, log)
    before = signal.signal(signal.SIGTERM, stop.handle)
    try:
        with distributed.process_group(), attach_profiler(context) as timer:
            train(context, timer)
    finally:
        signal.signal(signal.SIGTERM, before)


def _print(line: str) -> None:
    print(line, flush=True)


def _discard(line: str) -> None:
    pass


if __name__ == "__main__":
    # Otherwise Kineto, which traces operators for torch, logs between the metric lines.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    sys.exit(main(sys.argv[1:], os.environ))
