"""What CloudWatch would have seen of a simulation, and when the template's alarms would ring.

Metrics are those that the functions count, and two of SQS's, looked at once a minute as SQS does.
An alarm that uses anything which is not evaluated here is refused, not passed over.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.runtime import metrics
from tests.faults.simulation.doors import BACKLOG, FOLDER, INBOX, PAGE
from tests.faults.simulation.queues import Queue

MINUTE = 60
QUEUES = {INBOX: "inbox", BACKLOG: "backlog", FOLDER: "FolderQueue", PAGE: "PageQueue"}
"""As alarms name them: a queue of the storage stack by its name, others by their logical id."""

DEAD = {INBOX: "inbox-dead", BACKLOG: "backlog-dead"}
DEAD |= {FOLDER: "FolderDeadLetters", PAGE: "PageDeadLetters"}

Series = tuple[str, str]
"""A metric's name, and the queue that it is of, or nothing."""

STATISTICS: Mapping[str, Callable[[Iterable[float]], float]] = {"Sum": sum, "Maximum": max}


@dataclass
class Measures:
    """(when, value) of each series, in order."""

    points: dict[Series, list[tuple[float, float]]] = field(default_factory=dict)
    _minute: int = 0

    def note(self, name: str, value: float, at: float, queue: str = "") -> None:
        self.points.setdefault((name, queue), []).append((at, value))

    def note_counted(self, at: float) -> None:
        """What the functions counted since their metrics were cleared last."""
        for name, metric in metrics.metric_set.items():
            self.note(name, STATISTICS["Sum"](metric["Value"]), at)

    def look(self, queues: Iterable[Queue], until: float) -> None:
        """Once in each minute that passes up to `until`, in which nothing happens."""
        waiting = list(queues)
        while (self._minute + 1) * MINUTE <= until:
            self._minute += 1
            at = self._minute * MINUTE
            for queue in waiting:
                age, visible = queue.age_of_oldest(at), len(queue.dead)
                self.note("ApproximateAgeOfOldestMessage", age, at, QUEUES[queue.url])
                self.note("ApproximateNumberOfMessagesVisible", visible, at, DEAD[queue.url])


@dataclass(frozen=True)
class Alarm:
    name: str
    series: Series
    statistic: str
    period: int
    periods: int
    points: int
    threshold: float

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "Alarm":
        """Raises ValueError for what is not evaluated here."""
        compared = properties["ComparisonOperator"], properties["TreatMissingData"]
        if compared != ("GreaterThanThreshold", "notBreaching"):
            raise ValueError(f"not evaluated here: {compared}")
        if properties["Statistic"] not in STATISTICS or not properties["AlarmActions"]:
            raise ValueError(f"not evaluated here: {properties}")
        periods = properties["EvaluationPeriods"]
        return cls(
            properties["AlarmName"],
            (properties["MetricName"], _queue(properties["Dimensions"])),
            properties["Statistic"],
            properties["Period"],
            periods,
            properties.get("DatapointsToAlarm", periods),
            properties["Threshold"],
        )

    def rings_at(self, measures: Measures) -> float | None:
        """The end of the first period with which enough of the last ones breach; None: never."""
        values: dict[int, list[float]] = {}
        for at, value in measures.points.get(self.series, []):
            values.setdefault(int(at // self.period), []).append(value)
        total = STATISTICS[self.statistic]
        breaching = {number for number, each in values.items() if total(each) > self.threshold}
        for number in sorted(breaching):
            last = range(number - self.periods + 1, number + 1)
            if sum(each in breaching for each in last) >= self.points:
                return float((number + 1) * self.period)
        return None


def _queue(dimensions: Iterable[Mapping[str, Any]]) -> str:
    for dimension in dimensions:
        if dimension["Name"] == "QueueName":
            match dimension["Value"]:
                case {"Fn::GetAtt": [str(logical_id), "QueueName"]}:
                    return logical_id
                case str(name):
                    return "-".join(name.split("-")[2:])
    return ""
