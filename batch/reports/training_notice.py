"""The notice that a training job has ended: one event a job, however often SageMaker tells of it.

SageMaker may send several events for one change of state, and the folder queue may deliver each
twice. The notice is stored under the job's name, which an account gives once, and sent and marked
as that of a run is (`batch.reports.notice`), with the same promise: at least once, with the same
`id`, and twice only where a process dies between EventBridge's answer and the mark.
"""

from dataclasses import dataclass
from typing import Any

from batch.context import Context
from batch.reports import notice
from domain import timestamps
from domain.keys import training_notice_key

DETAIL_TYPE = "Sortbox Training Ended"

STATES = {"Completed": "finished", "Failed": "failed", "Stopped": "stopped"}
"""By TrainingJobStatus."""


@dataclass(frozen=True, slots=True)
class TrainingEnded:
    """SageMaker's event that a training job of this stage has ended. `status`: one of STATES.
    `model`: the URI of model.tar.gz, which a failed job has not.
    """

    job: str
    status: str
    reason: str | None
    model: str | None


def give(context: Context, ended: TrainingEnded) -> bool:
    """Send the job's notice unless that was done; returns False if it has been given up.

    Raises what `context.notify` raises, until its patience is over.
    """
    key = training_notice_key(ended.job)
    return notice.deliver(context, key, DETAIL_TYPE, lambda: detail(context, ended))


def detail(context: Context, ended: TrainingEnded) -> dict[str, Any]:
    """The event's detail; docs/how-to/notices.md shows it."""
    state = STATES[ended.status]
    reason = ended.reason[: notice.REASON_CHARACTERS] if ended.reason else None
    why = f" ({reason.rstrip('.')})" if reason else ""
    is_finished = state == "finished"
    then = f". ./sortbox promote --stage {context.stage} --job {ended.job}" if is_finished else ""
    how = f"was stopped{why}" if state == "stopped" else f"{state}{why}"
    return {
        "schema": 1,
        "id": f"{context.stage}-{ended.job}",
        "stage": context.stage,
        "kind": "training",
        "job": ended.job,
        "state": state,
        "reason": reason,
        "ended_at": timestamps.to_text(context.now()),
        "model": ended.model if is_finished else None,
        "message": f"Sortbox {context.stage}: training {ended.job} {how}{then}",
    }
