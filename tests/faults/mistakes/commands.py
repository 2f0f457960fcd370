"""Mistakes in what commands say: of jobs that go on, of reasons, of times and of accuracies."""

from tests.faults.mistakes.product import UNIT, Mistake

OF_THE_COMMANDS = (
    Mistake(
        "an interrupted command forgets what goes on",
        "infra/interrupt.py",
        "' '.join(filter(None, _left.values())) or NOTHING",
        "NOTHING",
        f"{UNIT}/infra/test_interrupt.py",
    ),
    Mistake(
        "a job that was killed is not explained",
        "infra/quotas.py",
        "if KILLED.search(reason):",
        "if KILLED.fullmatch(reason):",
        f"{UNIT}/infra/test_quotas.py",
    ),
    Mistake(
        "a reclassification stopped when it started",
        "infra/diagnostics/status.py",
        """f" since {document['updated_at']}\"""",
        'f" since {run.started_at}"',
        f"{UNIT}/infra/diagnostics/test_status_sweeps.py",
    ),
    Mistake(
        "the same command starts a second job on the same checkpoints",
        "training/launch/job.py",
        "        elif job.is_live:",
        "        elif job.is_live and request.spot:",
        f"{UNIT}/training/launch/test_live_jobs.py",
    ),
    Mistake(
        "the same search is started twice",
        "training/launch/tune.py",
        'if search.status == "InProgress":',
        'if search.status == "Starting":',
        f"{UNIT}/training/launch/test_live_jobs.py",
    ),
    Mistake(
        "a job that another command started is a failure",
        "training/launch/live_jobs.py",
        "if code_of(error) != IN_USE and not",
        "if code_of(error) and not",
        f"{UNIT}/training/launch/test_live_jobs.py",
    ),
    Mistake(
        "an architecture that cannot take the images is found out by the job",
        "training/launch/checks.py",
        "    networks.check_input(network, side, config",
        "    (lambda *_: None)(network, side, config",
        f"{UNIT}/training/launch/test_checks.py",
    ),
    Mistake(
        "a job's log shows how its test split does at each epoch",
        "training/launch/watching/lines.py",
        '    ("validation_accuracy", "valid. acc."),',
        '    ("test_accuracy", "valid. acc."),',
        f"{UNIT}/training/launch/test_lines.py",
    ),
    Mistake(
        "a promotion names the accuracy of fp32 as that which serves",
        "training/launch/promote.py",
        "has accuracy {evaluation.accuracy:.4f} on",
        "has accuracy {card.metrics['accuracy']:.4f} on",
        f"{UNIT}/training/launch/test_promote.py",
    ),
    Mistake(
        "the best of many trials is called better by chance",
        "training/loop/in_process_search.py",
        "    if chance >= SIGNIFICANT:",
        "    if paired.wins <= paired.losses:",
        f"{UNIT}/training/loop/test_in_process_search.py",
    ),
    Mistake(
        "a model is evaluated on the images that trained it",
        "training/evaluation/archive.py",
        '    if "test" not in layout.splits and layout.tops["train"] != layout.root:\n',
        "    if False:\n",
        f"{UNIT}/training/evaluation/test_accuracy.py",
    ),
    Mistake(
        "a tie goes to the lower loss of weights that are not kept",
        "training/config/trials.py",
        "    return min(losses, default=math.inf)",
        '    return trial.curves[-1]["validation_loss"] if trial.curves else math.inf',
        f"{UNIT}/training/config/test_search_space.py",
    ),
)
