"""The latest log lines of a stage: from files on this machine, or from CloudWatch Logs on AWS."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import SortboxError
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

POLL_SECONDS = 2.0
RECENT_SECONDS = 3600
"""How far back CloudWatch is read; older lines are rarely needed."""

MAX_EVENTS = 10_000
"""The most events that are read of a log group: 10 pages."""


class LogError(SortboxError):
    """No log matches the name."""


def of_files(folders: Sequence[Path], name: str, lines: int, follow: bool) -> Iterator[str]:
    """The last `lines` lines of each log file, after a header with its path; with `follow`, also
    new lines. Of a local cloud: the files of the emulator, which include the functions' lines, and
    those of the containers.

    Raises LogError if no log has `name` in its name.
    """
    logs = [log for folder in folders for log in sorted(folder.glob("*.log"))]
    matching = [log for log in logs if name.lower() in log.name.lower()]
    if not matching:
        raise LogError(_none_has(name, [log.stem for log in logs[:20]]))
    return _lines_of(matching, lines, follow)


def _none_has(name: str, names: Sequence[str]) -> str:
    if not names:
        return "There are no logs yet."
    return f"No log has {name!r} in its name. There are: {', '.join(names)}."


def _lines_of(files: list[Path], lines: int, follow: bool) -> Iterator[str]:
    ends: dict[Path, int] = {}
    for path in files:
        yield f"==> {path} <=="
        with path.open(errors="replace") as log:
            yield from (line.rstrip("\n") for line in deque(log, lines))
            ends[path] = log.tell()
    while follow:
        time.sleep(POLL_SECONDS)
        for path, end in ends.items():
            with path.open(errors="replace") as log:
                log.seek(min(end, path.stat().st_size))  # a truncated log is read anew
                yield from (line.rstrip("\n") for line in log)
                ends[path] = log.tell()


def of_groups(
    client: "CloudWatchLogsClient", stage: Stage, name: str, lines: int, follow: bool
) -> Iterator[str]:
    """The same of the log groups of the stage's functions. Raises LogError as well."""
    prefix = f"/aws/lambda/{stage.prefix}"
    pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
    groups = [group for group in names if name.lower() in group.lower()]
    if not groups:
        raise LogError(_none_has(name, [group.removeprefix(prefix) for group in names]))
    since = int((time.time() - RECENT_SECONDS) * 1000)
    next_start = dict.fromkeys(groups, since)
    for group in groups:
        yield f"==> {group} <=="
        events = deque(_events(client, group, since), lines)
        yield from (message for _, message in events)
        next_start[group] = events[-1][0] + 1 if events else since
    while follow:
        time.sleep(POLL_SECONDS)
        for group in groups:
            for at, message in _events(client, group, next_start[group]):
                yield message
                next_start[group] = at + 1


def _events(client: "CloudWatchLogsClient", group: str, since: int) -> Iterator[tuple[int, str]]:
    """Pairs of a time in milliseconds and a text, oldest first."""
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        startTime=since,
        PaginationConfig={"MaxItems": MAX_EVENTS, "PageSize": 1000},
    )
    for page in pages:
        for event in page["events"]:
            yield event["timestamp"], event["message"].rstrip("\n")
