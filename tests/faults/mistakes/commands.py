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
)
