"""The answers of a whole run, out of what its pages left, in the order of image keys."""

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
    """Merged over the attempts; of one image the latest attempt's answer comes first.

    One slice of each attempt is held: at most some 50,000 lines an attempt. `at_once`: pages that
    are read side by side. `after`: what is about images up to this key need not be given.
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
    """In key order: each begins where the one before it ends."""
    index = first
    while planned := read(bucket, run.keys, attempt, index):
        yield planned
        index += 1


def _first_beyond(bucket: Bucket, run: Run, attempt: int, after: str) -> int:
    """The slice that `after` ends in or precedes, by a few looks: there may be a thousand slices.

    One may have been planned since they were counted; then it is the last, and is come to.
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
    """How many images a slice was to answer and did not."""
    return _stopped_rows(bucket, run, planned) + sum(
        isinstance(answer, Unanswered)
        for answer in read_slice_answers(bucket, run, planned, at_once)
    )


def _stopped_rows(bucket: Bucket, run: Run, planned: Slice) -> int:
    markers = list_markers(bucket, run.keys, planned)
    return sum(about.rows for part, about in enumerate(planned.parts) if markers.is_stopped(part))
