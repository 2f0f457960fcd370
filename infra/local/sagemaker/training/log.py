"""Stream a training job's output to CloudWatch Logs, and extract its metrics by regex."""

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
from infra.local.sagemaker.training.folder import HOST_NAME
from infra.local.sagemaker.training.request import Metric, TrainingJobRequest

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

logger = logging.getLogger(__name__)

GROUP = "/aws/sagemaker/TrainingJobs"
LINE_CHARACTERS = 8 * 1024
LINES_PER_CALL = 1_000
"""At this line length, below the limits of PutLogEvents: 10,000 events, 1 MiB."""

CALL_BYTES = 900_000
POLL_SECONDS = 0.2

MAX_SERIES_VALUES = 1_000
"""The most values of a metric that are kept: one per epoch, by which trials are compared."""


@dataclass
class Metrics:
    """The latest value of each metric, for FinalMetricDataList, and its first values in order."""

    definitions: tuple[Metric, ...]
    _latest: dict[str, Record] = field(default_factory=dict)
    _series: dict[str, list[float]] = field(default_factory=dict)

    def record(self, line: str) -> None:
        for metric in self.definitions:
            match = metric.pattern.search(line)
            if match is not None and match.re.groups:
                with suppress(ValueError):  # a regex may match text that is not a number
                    value = float(match[1])
                    series = self._series.setdefault(metric.name, [])
                    if len(series) < MAX_SERIES_VALUES:
                        series.append(value)
                    self._latest[metric.name] = {
                        "MetricName": metric.name,
                        "Value": value,
                        "Timestamp": time.time(),
                    }

    def series(self, name: str) -> list[float]:
        """The first values of a metric, at most MAX_SERIES_VALUES of them."""
        return list(self._series.get(name, []))

    def final(self) -> list[Record]:
        """FinalMetricDataList, without values that JSON cannot represent: AWS stores no NaN
        either.
        """
        return [latest for latest in self._latest.values() if abs(latest["Value"]) < float("inf")]


class JobLog:
    def __init__(
        self, request: TrainingJobRequest, path: Path, client: Callable[[], "CloudWatchLogsClient"]
    ) -> None:
        """`client` returns the same client at each call; it must be called off the event loop."""
        self._client = client
        self._stream = f"{request.name}/{HOST_NAME}-{round(time.time())}"
        self._lines = _Lines(path)
        self.metrics = Metrics(request.metrics)

    async def follow(self, on_output: Callable[[], None]) -> None:
        """Follow the log until cancelled; `drain` then reads the rest. `on_output` is called after
        new lines.
        """
        await asyncio.to_thread(self._open)
        while True:
            if await asyncio.to_thread(self.take):
                on_output()
            else:
                await asyncio.sleep(POLL_SECONDS)

    def take(self) -> bool:
        """Send new lines; returns whether there were any. Errors of CloudWatch Logs do not fail the
        job.
        """
        lines = list(self._lines.take(LINES_PER_CALL, CALL_BYTES))
        self._send(lines)
        return bool(lines)

    def drain(self) -> None:
        """Send the remaining lines, including a last one without a line break."""
        while self.take():
            pass
        self._send([self._lines.last()])

    def _send(self, lines: list[str]) -> None:
        for line in lines:
            self.metrics.record(line)
        now = round(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines if line]
        if events:
            self._try(
                self._client().put_log_events,
                logGroupName=GROUP,
                logStreamName=self._stream,
                logEvents=events,
            )

    def _open(self) -> None:
        self._try(self._client().create_log_group, logGroupName=GROUP)
        self._try(self._client().create_log_stream, logGroupName=GROUP, logStreamName=self._stream)

    def _try(self, call: Callable[..., object], **arguments: object) -> None:
        try:
            call(**arguments)
        except self._client().exceptions.ResourceAlreadyExistsException:
            return
        except (BotoCoreError, ClientError) as error:
            logger.warning("log of %s: %s", self._stream, error)


class _Lines:
    """The complete lines of a file that grows and is replaced by an empty one when it is large."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._partial = b""

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
        """The text after the last line break."""
        return self._partial.decode(errors="replace")

    def _line(self) -> str | None:
        if self._file is None and not self._path.exists():
            return None
        self._file = self._file or self._path.open("rb")
        replaced = self._is_replaced(self._file)  # before the read: the old file is complete
        chunk = self._file.readline(LINE_CHARACTERS - len(self._partial))
        self._partial += chunk
        if not chunk and replaced:
            self._file.close()
            self._file = None
        if not chunk.endswith(b"\n") and len(self._partial) < LINE_CHARACTERS:
            return None
        line, self._partial = self._partial, b""
        return line.decode(errors="replace").rstrip("\r\n")

    def _is_replaced(self, file: IO[bytes]) -> bool:
        return self._path.exists() and self._path.stat().st_ino != os.fstat(file.fileno()).st_ino
