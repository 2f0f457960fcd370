"""How long the uploads of one wait behind another's: time, machines and two queues, modelled.

The doors are the product's own, over an in-memory bucket. The model is of what they take: an
invocation that only moves messages takes MOVE_SECONDS, one that answers takes as long as the
endpoint, which answers so many images a second for all invocations together. Queues are first in,
first out. `python -m tests.faults.simulation.lanes --singles 1000000` says what it comes to.
"""

import argparse
import heapq
import json
import sys
from collections import deque
from dataclasses import dataclass, field, replace

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions.allowance import Allowances
from functions.on_upload import Uploads
from functions.runtime import logger, metrics
from tests.support.worlds.uploads import SETTINGS, World, sqs_event

INBOX, BACKLOG = SETTINGS.inbox_queue_url, SETTINGS.backlog_queue_url

MOVE_SECONDS = 0.03
"""Assumed of an invocation of ten messages: one SendMessage each, side by side."""

BATCH = 10


@dataclass(frozen=True)
class Stage:
    """As serverless.yml has it; `rate` is the endpoint's, in images a second."""

    upload_concurrency: int = 3
    backlog_concurrency: int = 2
    uploader_burst: int = 50
    rate: float = 50.0


@dataclass
class Lanes:
    """Messages are (when they came, whose they are, body), in the order of their times."""

    stage: Stage = Stage()
    world: World = field(default_factory=World)
    now: float = 0.0
    endpoint_free_at: float = 0.0
    waits: dict[str, list[float]] = field(default_factory=dict)

    def run(self, dropped: list[tuple[float, str]], until_done: str) -> None:
        """`dropped`: when, and by whom; until all of `until_done`'s are answered."""
        inbox, backlog = deque(sorted(dropped)), deque[tuple[float, str]]()
        left = sum(who == until_done for _, who in dropped)
        lanes = [(inbox, self.stage.upload_concurrency), (backlog, self.stage.backlog_concurrency)]
        numbered = [(queue, each) for queue, most in lanes for each in [None] * most]
        processes = [self._process() for _ in numbered]
        free = [(0.0, number) for number in range(len(numbered))]
        heapq.heapify(free)
        while left:
            self.now, number = heapq.heappop(free)
            queue = numbered[number][0]
            if not queue or queue[0][0] > self.now:
                later = [each[0][0] for each, _ in lanes if each] + [free[0][0]]
                at = max(self.now + 0.001, min(each for each in later if each > self.now - 1))
                heapq.heappush(free, (max(at, queue[0][0]) if queue else at + 0.05, number))
                continue
            batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
            end = self.now + MOVE_SECONDS
            for came, who in batch:
                if self._take(processes[number], who, is_moved=queue is backlog):
                    self.endpoint_free_at = max(self.now, self.endpoint_free_at)
                    self.endpoint_free_at += 1 / self.stage.rate
                    end = max(end, self.endpoint_free_at)
                    self.waits.setdefault(who, []).append(self.endpoint_free_at - came)
                    left -= who == until_done
                else:
                    backlog.append((came, who))
            heapq.heappush(free, (end, number))

    def _process(self) -> Uploads:
        allowances = Allowances(self.stage.uploader_burst, lambda: self.now)
        return replace(self.world.uploads(), allowances=allowances)

    def _take(self, process: Uploads, who: str, is_moved: bool) -> bool:
        """Whether it was answered; else it was moved."""
        key = f"inbox/{who}.jpg"
        self.world.put(key, str(self.now).encode())  # another image each time
        told = {
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": f"AWS:{who}"},
            "s3": {"object": {"key": key, "size": 9}},
        }
        moved = {"moved": {"key": key, "removed": False, "size": 9}}
        body = json.dumps(moved if is_moved else {"Records": [told]})
        process.accept(SQSRecord(sqs_event(body)["Records"][0]))
        metrics.clear_metrics()
        sent, self.world.sqs.sent = self.world.sqs.sent, []
        return not sent


def a_minute_later(singles: int, a_second: float, stage: Stage) -> Lanes:
    """One drops `singles`, so many `a_second`; another drops ten, a minute after it began."""
    lanes = Lanes(stage)
    many = [(number / a_second, "many") for number in range(singles)]
    lanes.run([*many, *((60.0, "few") for _ in range(10))], until_done="few")
    return lanes


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulation.lanes")
    parser.add_argument("--singles", type=int, default=1_000_000)
    asked = parser.parse_args(arguments)
    logger.setLevel("CRITICAL")
    unbounded = replace(Stage(), uploader_burst=1_000_000_000)
    for a_second in (3_500.0, 1e9):
        lanes = a_minute_later(asked.singles, a_second, Stage())
        print(f"{a_second:g} a second: the ten waited {max(lanes.waits['few']):.1f} s at most")
    alone = asked.singles / unbounded.rate - 60
    print(f"without lanes: {alone:,.0f} s, by the endpoint's rate alone")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
