"""The notice that a run has ended: the detail of one event for EventBridge.

A notice is given at least once, and its `id` is the same each time. It is stored below the run's
prefix before it is sent, and marked when EventBridge has it, both before the claim is deleted. So
steps that repeat (a message that SQS delivers twice, a failed write, a lost race for the claim)
give no second notice. Only a process that dies, or to which S3 fails, between EventBridge's answer
and the mark leaves a run whose next step sends the same notice again. The other order would lose
the notice instead, and then somebody waits for a folder that was done hours ago. EventBridge itself
delivers at least once.

If EventBridge does not take the event (an outage, a missing permission), the step fails and is
repeated for `Limits.notice_patience_seconds`. Then the notice is given up, so that the run ends and
the next one of its folder can begin: answers do not wait for notices.

It costs a read, two writes and an event a run, whatever the number of images.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aws.event_bus import EventRefusedError
from batch.claim import SUMMARY, ContendedError, Run
from batch.closing import Closing
from batch.context import Context
from batch.reports import folder_page
from batch.reports.change_report import PAGE as CHANGE_PAGE
from batch.reports.changes import Changes
from batch.reports.folder_report import Counts
from batch.status import STATUS
from domain import timestamps
from domain.keys import INBOX

DETAIL_TYPE = "Sortbox Run Ended"

SENT = "sent"

REASON_CHARACTERS = 500
"""With keys of at most 1,024 bytes the whole event is far below EventBridge's 256 KB."""


def is_due(run: Run, closing: Closing, counts: Counts | Changes) -> bool:
    """Whether the end of this run is of interest to anybody.

    Every failure is, and so is a folder's first run. A later run of a folder that found nothing to
    answer is not: each reclassification begins one in each of its folders, up to 10,000, to renew
    their tables. Neither are the daily search for images without an answer if it found none, and
    single images.
    """
    if not (run.scope.is_folder or run.scope.is_reclassification):
        return False
    if closing.reason is not None:
        return True
    if isinstance(counts, Changes):
        return counts.images > 0 or run.kind != "unanswered"
    return run.first or closing.attempt > 1  # a second attempt follows one that had images


def give(context: Context, run: Run, closing: Closing, counts: Counts | Changes) -> bool:
    """Send the run's notice unless that was done; returns False if it has been given up.

    Raises what `context.notify` raises, until its patience is over.
    """
    made = partial(detail, context, run, closing, counts)
    return deliver(context, run.keys.notice, DETAIL_TYPE, made)


def deliver(
    context: Context, key: str, detail_type: str, make: Callable[[], dict[str, Any]]
) -> bool:
    """Store at `key` the notice that `make` makes, send it and mark it, unless that was done.

    Returns False if it has been given up. Raises what `context.notify` raises, until its patience
    is over.
    """
    bucket = context.bucket
    stored = bucket.read(key)
    if stored is None:
        bucket.create(key, _text(make(), None))
        stored = bucket.read(key)
    if stored is None:
        raise ContendedError(f"{key} is absent after it was written")
    document = json.loads(stored.body)
    if document["outcome"] is None:
        document["outcome"] = _send(context, detail_type, document["detail"])
        bucket.replace(key, _text(**document), stored.etag)
    return bool(document["outcome"] == SENT)


def _send(context: Context, detail_type: str, event: dict[str, Any]) -> str:
    """Returns SENT, or why the notice is given up."""
    try:
        context.notify(detail_type, event)
    except (BotoCoreError, ClientError, EventRefusedError) as error:
        if not context.is_overdue(event["ended_at"], context.limits.notice_patience_seconds):
            raise
        return f"given up: {error}"[:REASON_CHARACTERS]
    return SENT


def detail(
    context: Context, run: Run, closing: Closing, counts: Counts | Changes
) -> dict[str, Any]:
    """The event's detail; `docs/notice.schema.json` describes it."""
    is_reported = not isinstance(counts, Changes) or counts.images > 0 or run.kind != "unanswered"
    page = CHANGE_PAGE if run.scope.is_reclassification else folder_page.PAGE
    reason = None if closing.reason is None else closing.reason[:REASON_CHARACTERS]
    results = {
        "bucket": context.bucket.name,
        "status": run.file(STATUS),
        "summary": run.file(SUMMARY) if is_reported else None,
        "report": run.file(page) if is_reported else None,
    }
    return {
        "schema": 1,
        "id": f"{context.stage}-{run.nonce}",
        "stage": context.stage,
        "kind": "reclassification" if run.scope.is_reclassification else "folder",
        "prefix": INBOX + run.path,
        "run": run.nonce,
        "state": "finished" if reason is None else "failed",
        "reason": reason,
        "started_at": run.started_at,
        "ended_at": timestamps.to_text(context.now()),
        "counts": _counts(counts),
        "results": results,
        "message": _message(context.stage, run, reason, counts, results),
    }


def _counts(counts: Counts | Changes) -> dict[str, int]:
    if isinstance(counts, Changes):
        return {
            "images": counts.images,
            "first_answers": counts.first,
            "renewed": counts.renewed,
            "flipped": counts.flipped,
            "rejected": counts.rejected,
            "unanswered": counts.unanswered,
        }
    names = ("images", "classified", "rejected", "unanswered", "unlisted", "ignored")
    return {name: getattr(counts, name) for name in names}


def _message(
    stage: str,
    run: Run,
    reason: str | None,
    counts: Counts | Changes,
    results: dict[str, str | None],
) -> str:
    """One line for people. It arrives as a JSON string, in which a line feed would be `\\n`."""
    what = f"{'Reclassification of ' if run.scope.is_reclassification else ''}{INBOX}{run.path}"
    how = "finished" if reason is None else f"failed ({reason.rstrip('.')})"
    where = f"s3://{results['bucket']}/{results['report'] or results['status']}"
    return f"Sortbox {stage}: {what} {how}. {_in_words(counts)}. {where}"


def _in_words(counts: Counts | Changes) -> str:
    if isinstance(counts, Changes):
        of_them = {"with another label than before": counts.flipped, "rejected": counts.rejected}
    else:
        of_them = {"classified": counts.classified, "rejected": counts.rejected}
        of_them |= {"not listed": counts.unlisted} if counts.unlisted else {}
    of_them |= {"without an answer": counts.unanswered} if counts.unanswered else {}
    images = f"{counts.images:,} image{'' if counts.images == 1 else 's'}"
    ignored = counts.ignored if isinstance(counts, Counts) else 0
    rest = f"; {ignored:,} file{'' if ignored == 1 else 's'} ignored" if ignored else ""
    return f"{images}: " + ", ".join(f"{n:,} {what}" for what, n in of_them.items()) + rest


def _text(detail: dict[str, Any], outcome: str | None) -> str:
    return json.dumps({"outcome": outcome, "detail": detail}, ensure_ascii=False, indent=1)
