"""The answers of a whole run, from the records of its pages, sorted by image key."""

import heapq
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from aws.bucket import Bucket
from batch.claim import Run
from batch.jobs.progress import done_key, list_markers
from batch.outcome import Answer, Unanswered, from_lines
from batch.planning.slice import Slice, read


def read_run(
    bucket: Bucket, run: Run, attempts: int, at_once: int = 1, after: str = ""
) -> Iterator[Answer]:
    """The answers of all attempts, sorted by image key; for one image the latest attempt's first.

    Memory holds one slice of each attempt, up to 50,000 lines. `at_once` pages are read
    concurrently. Answers up to the key `after` may be left out.
    """
    streams = [
        read_attempt(bucket, run, attempt, at_once, after) for attempt in range(attempts, 0, -1)
    ]
    return heapq.merge(*streams, key=lambda answer: answer.image)


def read_attempt(
    bucket: Bucket, run: Run, attempt: int, at_once: int, after: str
) -> Iterator[Answer]:
    for planned in read_slices(bucket, run, attempt, _first_beyond(bucket, run, attempt, after)):
        answers = read_slice_answers(bucket, run, planned, at_once)
        yield from sorted(answers, key=lambda answer: answer.image)


def read_slices(bucket: Bucket, run: Run, attempt: int, first: int = 0) -> Iterator[Slice]:
    """The slices of an attempt from index `first` on, in the order of their keys."""
    index = first
    while planned := read(bucket, run.keys, attempt, index):
        yield planned
        index += 1


def _first_beyond(bucket: Bucket, run: Run, attempt: int, after: str) -> int:
    """The index of the slice that contains `after`, by binary search: there may be a thousand.

    A slice that is planned after they were counted is the last one and is read in any case.
    """
    if not after:
        return 0
    low, high = 0, sum(1 for _ in bucket.walk(run.keys.slices(attempt)))
    while low < high:
        middle = (low + high) // 2
        planned = read(bucket, run.keys, attempt, middle)
        if planned and planned.cursor < after:
            low = middle + 1
        else:
            high = middle
    return low


def read_slice_answers(
    bucket: Bucket, run: Run, planned: Slice, at_once: int = 1
) -> Iterator[Answer]:
    keys = [
        done_key(planned.page(run.keys, part, page))
        for part, about in enumerate(planned.parts)
        for page in range(about.pages)
    ]
    with ThreadPoolExecutor(at_once) as threads:
        for marker in threads.map(bucket.read, keys):
            if marker:
                yield from from_lines(marker.body.decode())


def count_unanswered(bucket: Bucket, run: Run, planned: Slice, at_once: int = 1) -> int:
    """How many images of a slice have no answer."""
    return _stopped_rows(bucket, run, planned) + sum(
        isinstance(answer, Unanswered)
        for answer in read_slice_answers(bucket, run, planned, at_once)
    )


def _stopped_rows(bucket: Bucket, run: Run, planned: Slice) -> int:
    markers = list_markers(bucket, run.keys, planned)
    return sum(about.rows for part, about in enumerate(planned.parts) if markers.is_stopped(part))
