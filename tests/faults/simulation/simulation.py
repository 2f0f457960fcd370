"""The product's own doors over an in-memory cloud; a seed decides time, order and accidents."""

import heapq
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import assert_never
from urllib.parse import quote_plus
from zlib import crc32

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions.messages import Reclassify as ReclassifyMessage
from functions.messages import to_json
from functions.runtime import metrics
from functions.sqs import SqsBatch
from tests.faults.cloud.traffic import (
    Act,
    Halt,
    Plan,
    Poison,
    Promote,
    Ready,
    Reclassify,
    Remove,
    Revert,
    Touch,
    Upload,
    upload,
)
from tests.faults.simulation.alarms import Measures
from tests.faults.simulation.doors import BACKLOG, FOLDER, INBOX, PAGE, PROCESSES, Doors
from tests.faults.simulation.jobs import Jobs
from tests.faults.simulation.lineage import Lineage
from tests.faults.simulation.queues import Queue, Queues, event
from tests.faults.simulation.storage import Storage
from tests.faults.simulation.weather import Climate, Fate, Killed, Outage, Weather
from tests.support.fakes.aws import Clock, FakeEvents
from tests.support.worlds.uploads import FakeEndpoint

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
VISIBILITY = {INBOX: 360.0, BACKLOG: 360.0, FOLDER: 2400.0, PAGE: 1800.0}
BATCH = {INBOX: 10, BACKLOG: 10, FOLDER: 1, PAGE: 1}
MOST_WRITES = {INBOX: 1, BACKLOG: 1, FOLDER: 12, PAGE: 60}
SWEEP_SECONDS = 300.0
COLLECTOR_KILLS = 3


@dataclass(frozen=True)
class Delivery:
    """What S3 and EventBridge do to the events they send."""

    repeated: float = 0.10
    reordered: float = 0.05


class Simulation:
    """`run` takes the plan to rest; then `storage` is to be checked and `queues` have their dead.

    An invocation takes no time of its own. What interleaves is what comes just before a call of
    another: up to two invocations deep, and people touching the very image that is worked on.
    """

    def __init__(
        self, seed: int, plan: Plan, climate: Climate | None = None, *outages: Outage
    ) -> None:
        self.random = Random(seed)
        random.seed(seed)  # the process's own, which spreads the waits of messages
        self.weather = Weather(self.random, climate or Climate(), self._meddle, self.now, outages)
        self.storage = Storage(clock=Clock(EPOCH), hook=self.weather.before)
        self.storage.after = self.weather.after
        self.queues = {url: Queue(url, VISIBILITY[url], self.now) for url in VISIBILITY}
        self.lineage = Lineage()
        before, after = self.weather.before, self.weather.after
        self.sqs = Queues(self.queues, before, after, lambda: self.lineage.current)
        self.jobs = Jobs(self.storage, capacity=8, started=self._started)
        self.jobs.meanwhile = partial(self.weather.before, "CreateTransformJob", "")
        self.endpoint = FakeEndpoint(trouble=partial(self.weather.before, "InvokeEndpoint", ""))
        self.latest = 1
        self.moved_at = 0.0
        self.delivery = Delivery()
        self.seen: Counter[str] = Counter()
        self.collector_kills = COLLECTOR_KILLS
        self.measures = Measures()
        self.last_done: dict[str, float] = {}
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)
        self._plan = sorted(plan, key=lambda pair: -pair[0])
        self.events = FakeEvents(before, after)
        self.doors = Doors(self.storage, self.sqs, self.jobs, self.endpoint, self.events, self.now)
        self._later(SWEEP_SECONDS, self._sweep)

    def now(self) -> float:
        return (self.storage.clock.now - EPOCH).total_seconds()

    def run(self) -> None:
        while self._step():
            pass

    def go_on(self, plan: Plan) -> None:
        """More of life after a rest, its times counted from now; then `run` takes it to rest."""
        self._plan = sorted(((self.now() + at, act) for at, act in plan), key=lambda pair: -pair[0])
        self._later(SWEEP_SECONDS, self._sweep)
        self.run()

    def _step(self) -> bool:
        """Everything that is visible, then on to the next moment; False at rest."""
        ready = [queue for queue in self.queues.values() if self._is_visible(queue)]
        if ready:
            self._invoke(self.random.choice(ready))
            return True
        moments = [at for queue in self.queues.values() if (at := queue.next_at()) is not None]
        moments += [self.timers[0][0]] if self.timers else []
        moments += [self._plan[-1][0]] if self._plan else []
        if not moments:
            return False
        late = max(0.0, min(moments) - self.now()) + 0.001  # a clock of whole microseconds
        self.measures.look(self.queues.values(), self.now() + late)
        self.storage.clock.now += timedelta(seconds=late)
        self._let_time_pass()
        return True

    def _let_time_pass(self) -> None:
        """Whole seconds of the plan at once, so that invocations get batches."""
        until = self.now() + 1
        while self._plan and self._plan[-1][0] <= until:
            self._act(self._plan.pop()[1])
        while self.timers and self.timers[0][0] <= self.now():
            heapq.heappop(self.timers)[2]()

    def _is_visible(self, queue: Queue) -> bool:
        at = queue.next_at()
        return at is not None and at <= self.now()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.timers, (self.now() + seconds, next(self._numbers), act))

    # people

    def _act(self, act: Act) -> None:
        with self.weather.aside():
            match act:
                case Upload() | Ready() | Remove() | Revert():
                    self._touch(act)
                case Poison(body):
                    self.queues[INBOX].send(body)
                case Promote(number):
                    self.endpoint.number = number
                    self._later(30, partial(self._point_to, number))
                case Reclassify(path, kind, is_person):
                    self._deliver(FOLDER, to_json(ReclassifyMessage(path, kind, is_person)))
                    self.seen[f"asked for {kind}"] += 1
                case Halt(for_good):
                    self.doors.halt(for_good)
                case never:
                    assert_never(never)

    def _touch(self, act: Touch) -> None:
        event = self.storage.touch(act)
        if event:
            self._notify(act.key, event)
        if isinstance(act, Upload):
            self.seen["uploads" if act.is_told else "events lost"] += 1

    def _point_to(self, number: int) -> None:
        self.doors.active_number = number
        self.latest = max(self.latest, number)
        self.moved_at = self.now()

    def _notify(self, key: str, kind: str) -> None:
        stored = self.storage.objects.get(key) if kind.startswith("ObjectCreated") else None
        size = {"size": len(stored.body)} if stored else {}
        number = crc32(key.encode())  # a quarter is dropped by one, who drops more than others
        who = {"principalId": "AWS:MANY" if number % 4 == 0 else f"AWS:{number % 1_000}"}
        about = {
            "eventName": kind,
            "userIdentity": who,
            "s3": {"object": {"key": quote_plus(key)} | size},
        }
        self._deliver(INBOX, json.dumps({"Records": [about]}))

    def _deliver(self, url: str, body: str) -> None:
        for _ in range(1 + (self.random.random() < self.delivery.repeated)):
            is_late = self.random.random() < self.delivery.reordered
            self.seen["reordered"] += is_late
            self.queues[url].send(body, self.random.uniform(0, 120) if is_late else 0)
            self.seen["messages"] += 1

    def _meddle(self, key: str) -> None:
        """Just before a call about `key`: its image changes, or another process has its turn."""
        image = "inbox/" + key.partition("/")[2].removesuffix(".json")
        if self._plan and image in self.storage.objects and self.random.random() < 0.5:
            self.seen["changed meanwhile"] += 1
            self._act(upload(self.random, image))
        elif ready := [queue for queue in self.queues.values() if self._is_visible(queue)]:
            self._invoke(self.random.choice(ready))

    # services

    def _started(self, name: str) -> None:
        self._later(self.random.uniform(60, 600), partial(self._end, name))

    def _end(self, name: str) -> None:
        with self.weather.aside():
            self.jobs.finish(name, self.random, is_stopped=self.random.random() < 0.05)
            detail = self.jobs.describe_transform_job(TransformJobName=name)
        self.seen[f"jobs {detail['TransformJobStatus'].lower()}"] += 1
        if self.random.random() < 0.9:  # or the event is lost, and the sweeper finds the run
            self._deliver(FOLDER, json.dumps({"source": "aws.sagemaker", "detail": detail}))

    def _sweep(self) -> None:
        with self.weather.aside():
            is_open = self.doors.advance_runs() > 0
            left_to_people = None if self._plan else self.doors.waits_for_somebody()
        if left_to_people:  # who else would come; asking for another sweep would not resume it
            self._act(Reclassify(left_to_people.path, left_to_people.kind))
        if is_open or self._plan or any(queue.next_at() for queue in self.queues.values()):
            self._later(SWEEP_SECONDS, self._sweep)

    def _invoke(self, queue: Queue) -> None:
        """One invocation with a batch: what it reports as failed, or dies with, comes again."""
        process = self.random.randrange(PROCESSES)
        intake = self.doors.intake(queue.url, process)
        messages = queue.receive(BATCH[queue.url])
        done: list[str] = []
        try:
            for message, record in zip(messages, event(messages), strict=True):
                if self.lineage.is_cut(queue.url, message.chain):
                    queue.dead.append(message.body)
                    done.append(message.handle)
                    continue
                with self.lineage.link(queue.url, message.chain):
                    if self._take(intake, SQSRecord(record)):
                        done.append(record["receiptHandle"])
        except Killed:
            self.doors.restart(process)
            return
        for handle in done:
            queue.delete(handle)
            self.last_done[queue.url] = self.now()

    def _take(self, intake: SqsBatch, record: SQSRecord) -> bool:
        self.seen["deliveries"] += 1
        fate = self._fate(intake.queue_url)
        self.weather.fates.append(fate)
        try:
            intake.accept(record)
            self.weather.at_the_end(fate)
        except Exception:  # as Lambda's batch processor: whatever a record raises is its own
            intake.set_visibility(record)
            return False
        finally:
            self.weather.fates.pop()
            self.measures.note_counted(self.now())
            metrics.clear_metrics()
            if intake.queue_url == PAGE and fate.is_dead:
                self.collector_kills = max(0, self.collector_kills - 1)
        return True

    def _fate(self, url: str) -> Fate:
        if url == PAGE and self.collector_kills:
            return Fate("killed after a write", self.random.randint(1, 20))
        return self.weather.draw(MOST_WRITES[url])
