"""The main use case as a user does it: upload photographs to the inbox, read JSON from the outbox.

It uses S3 only, so that it shows what any client would see.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from aws.bucket import Bucket
from domain import keys, result
from domain.foreign import visible
from domain.result import Classified, Result
from domain.scope import Scope
from infra import photos
from infra.photos import DemoPhoto

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

TIMEOUT_SECONDS = 240
POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded photograph; `at` is a monotonic time in seconds."""

    photo: DemoPhoto
    key: str
    at: float


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    upload: Upload
    answer: Result
    seconds: float


def demo(s3: "S3Client", bucket: str, own_model: str | None, console: Console) -> int:
    """Run the demo; returns the exit code: 0 if every image has a result, and the known subjects
    are correct. `own_model` is the active model if it is the user's own, with other labels.
    """
    trip = Scope(f"demo-{time.strftime('%Y%m%d-%H%M%S')}/")
    single_prefix = f"{keys.INBOX}{trip.path.rstrip('/')}-"
    folder_prefix = f"{keys.INBOX}{trip.path}"
    console.print(f"Dropping photographs into s3://{bucket}/{keys.INBOX}")
    folder = [_drop(s3, bucket, folder_prefix, photo) for photo in photos.folder()]
    s3.put_object(Bucket=bucket, Key=f"{folder_prefix}_READY")
    singles = [_drop(s3, bucket, single_prefix, photo) for photo in photos.singles()]
    answers = list(_answers(s3, bucket, singles, folder, console))
    status = _folder_status(s3, bucket, trip)
    console.print(_table(answers, single_prefix, folder_prefix))
    console.print(escape(visible(f"Folder {trip.path}: {status}")))
    for name in ("_report.html", "_summary.json", "predictions.csv", "errors.jsonl"):
        console.print(f"  s3://{bucket}/{keys.folder_file(trip, name)}", soft_wrap=True)
    console.print(f"  In the browser: ./sortbox open {trip.path}", soft_wrap=True)
    console.print(f"  JSON, one an image: s3://{bucket}/{keys.OUTBOX}{trip.path}", soft_wrap=True)
    return _verdict(answers, own_model, len(singles) + len(folder), status, console)


def _drop(s3: "S3Client", bucket: str, prefix: str, photo: DemoPhoto) -> Upload:
    key = prefix + photo.name
    s3.put_object(Bucket=bucket, Key=key, Body=photo.body)
    return Upload(photo, key, time.monotonic())


def _answers(
    s3: "S3Client",
    bucket: str,
    singles: list[Upload],
    folder: list[Upload],
    console: Console,
) -> Iterator[TimedAnswer]:
    """Yield results as they arrive, then wait for the folder's end, with a progress bar for each
    route.
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        endpoint = progress.add_task("singles, by the endpoint", total=len(singles))
        batch = progress.add_task("folder, by batch transform", total=len(folder))
        waiting = {upload.key: (upload, endpoint) for upload in singles}
        waiting |= {upload.key: (upload, batch) for upload in folder}
        scope = Scope(folder[0].key.removeprefix(keys.INBOX).partition("/")[0] + "/")

        def settled() -> bool:
            return not waiting and _folder_status(s3, bucket, scope) != "running"

        for _ in _poll(settled):
            for upload, task in list(waiting.values()):
                if answer := _read(s3, bucket, keys.result_key(upload.key)):
                    del waiting[upload.key]
                    progress.advance(task)
                    seconds = time.monotonic() - upload.at
                    yield TimedAnswer(upload, result.from_json(answer), seconds)


def _poll(is_done: Callable[[], bool]) -> Iterator[None]:
    """Poll until `is_done()` or until the time limit."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not is_done() and time.monotonic() < end:
        yield
        time.sleep(POLL_SECONDS)


def _read(s3: "S3Client", bucket: str, key: str) -> bytes | None:
    stored = Bucket(s3, bucket).read(key)
    return stored.body if stored else None


def _folder_status(s3: "S3Client", bucket: str, scope: Scope) -> str:
    document = _read(s3, bucket, keys.folder_file(scope, "_status.json"))
    return json.loads(document)["state"] if document else "running"


def _table(answers: list[TimedAnswer], *prefixes: str) -> Table:
    columns = "image", "top label", "score", "route", "ms", "after"
    table = Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for answered in sorted(answers, key=_by_route):
        name = answered.upload.key
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        table.add_row(name, *_cells(answered.answer), f"{answered.seconds:.1f} s")
    return table


def _by_route(answered: TimedAnswer) -> tuple[str, str]:
    return answered.answer.how.route, answered.upload.key


def _cells(answer: Result) -> tuple[str, str, str, str]:
    match answer:
        case Classified(labels=(best, *_)):
            score, took = f"{best.score:.2f}", f"{answer.model_ms:.0f}"
            return escape(visible(best.label)), score, answer.how.route, took
        case _:
            return "rejected", "", answer.how.route, ""


def _verdict(
    answers: list[TimedAnswer], own_model: str | None, total: int, status: str, console: Console
) -> int:
    """The exit code: 0 if every image has a result, and at least five known subjects are correct
    and the same on both routes. The labels of a user's own model are not checked.
    """
    labels: dict[str, dict[str, str]] = {"endpoint": {}, "batch": {}}
    for answered in answers:
        if answered.upload.photo.expected and isinstance(answered.answer, Classified):
            label = answered.answer.labels[0].label
            labels[answered.answer.how.route][answered.upload.photo.name] = label
    expected = photos.EXPECTED
    correct = [name for name, label in labels["endpoint"].items() if label in expected[name]]
    same = [name for name in correct if labels["batch"].get(name) == labels["endpoint"][name]]
    is_success = len(answers) == total and status == "finished"
    sentence = f"{len(answers)} of {total} images answered"
    if own_model is None:
        is_success = is_success and len(same) >= 5
        sentence += f"; {len(correct)} of {len(expected)} known subjects correct, "
        sentence += f"{len(same)} of them the same on both routes."
    else:
        sentence += f" by your model {own_model}; its labels are not checked."
    console.print(escape(visible(sentence)))
    if not is_success:
        console.print("Not as expected. `./sortbox status` shows what waits for what.")
    return 0 if is_success else 1
