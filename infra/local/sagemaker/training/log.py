"""A training job's output while it comes: to CloudWatch Logs, and through its metrics' regexes."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.sagemaker.core.store import Record
from infra.local.sagemaker.training.folder import HOST
from infra.local.sagemaker.training.request import Metric, TrainingPlan

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

logger = logging.getLogger(__name__)

GROUP = "/aws/sagemaker/TrainingJobs"
LINE_CHARACTERS = 8 * 1024
LINES_A_CALL = 1_000
"""With lines of this length, below what one PutLogEvents takes: 10,000 events, 1 MiB."""

CALL_BYTES = 900_000
BETWEEN_LOOKS_SECONDS = 0.2

SERIES = 1_000
"""Values of a metric that are kept: epochs, for whom trials are compared by them."""


@dataclass
class Metrics:
    """The latest value of each, as FinalMetricDataList shows them, and the first ones in order."""

    definitions: tuple[Metric, ...]
    _latest: dict[str, Record] = field(default_factory=dict)
    _series: dict[str, list[float]] = field(default_factory=dict)

    def look_at(self, line: str) -> None:
        for metric in self.definitions:
            found = metric.pattern.search(line)
            if found is not None and found.re.groups:
                with suppress(ValueError):  # a regex may find what is no number
                    value = float(found[1])
                    series = self._series.setdefault(metric.name, [])
                    if len(series) < SERIES:
                        series.append(value)
                    self._latest[metric.name] = {
                        "MetricName": metric.name,
                        "Value": value,
                        "Timestamp": time.time(),
                    }

    def series(self, name: str) -> list[float]:
        """Its first values, at most SERIES of them."""
        return list(self._series.get(name, []))

    def final(self) -> list[Record]:
        """Without what JSON cannot say: AWS keeps no NaN either."""
        return [each for each in self._latest.values() if abs(each["Value"]) < float("inf")]


class JobLog:
    def __init__(self, plan: TrainingPlan, path: Path, client: "CloudWatchLogsClient") -> None:
        self._client = client
        self._stream = f"{plan.name}/{HOST}-{round(time.time())}"
        self._lines = _Lines(path)
        self.metrics = Metrics(plan.metrics)

    async def follow(self, heard: Callable[[], None]) -> None:
        """Until cancelled; then what is left is taken by `rest`. `heard`: after new lines."""
        await asyncio.to_thread(self._open)
        while True:
            if await asyncio.to_thread(self.take):
                heard()
            else:
                await asyncio.sleep(BETWEEN_LOOKS_SECONDS)

    def take(self) -> bool:
        """Sends what has come since; whether that was anything. Trouble with logs stops no job."""
        lines = list(self._lines.take(LINES_A_CALL, CALL_BYTES))
        self._send(lines)
        return bool(lines)

    def rest(self) -> None:
        """What has come up to the end, which needs no line break."""
        while self.take():
            pass
        self._send([self._lines.last()])

    def _send(self, lines: list[str]) -> None:
        for line in lines:
            self.metrics.look_at(line)
        now = round(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines if line]
        if events:
            self._try(
                self._client.put_log_events,
                logGroupName=GROUP,
                logStreamName=self._stream,
                logEvents=events,
            )

    def _open(self) -> None:
        self._try(self._client.create_log_group, logGroupName=GROUP)
        self._try(self._client.create_log_stream, logGroupName=GROUP, logStreamName=self._stream)

    def _try(self, call: Callable[..., object], **arguments: object) -> None:
        try:
            call(**arguments)
        except self._client.exceptions.ResourceAlreadyExistsException:
            return
        except (BotoCoreError, ClientError) as error:
            logger.warning("log of %s: %s", self._stream, error)


class _Lines:
    """The whole lines of a file that grows and is, when large, replaced by an empty one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._begun = b""

    def take(self, most: int, most_bytes: int) -> Iterator[str]:
        size = 0
        for _ in range(most):
            line = self._line()
            if line is None:
                return
            yield line
            size += len(line)
            if size > most_bytes:
                return

    def last(self) -> str:
        """What was written after the last line's end."""
        return self._begun.decode(errors="replace")

    def _line(self) -> str | None:
        if self._file is None and not self._path.exists():
            return None
        self._file = self._file or self._path.open("rb")
        replaced = self._is_replaced(self._file)  # before the read: then the file read is complete
        read = self._file.readline(LINE_CHARACTERS - len(self._begun))
        self._begun += read
        if not read and replaced:
            self._file.close()
            self._file = None
        if not read.endswith(b"\n") and len(self._begun) < LINE_CHARACTERS:
            return None
        line, self._begun = self._begun, b""
        return line.decode(errors="replace").rstrip("\r\n")

    def _is_replaced(self, file: IO[bytes]) -> bool:
        return self._path.exists() and self._path.stat().st_ino != os.fstat(file.fileno()).st_ino
