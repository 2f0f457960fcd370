"""The deployed functions with the proxy as their services, and queues that forget in seconds."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra.local import cloud as local
from infra.local.access.keys import Keys
from infra.local.account import REGION
from tests.faults.cloud.proxy import Proxy, Rule, Service
from tests.faults.cloud.traffic import Plan, Ready, Remove, Upload
from tests.faults.simulation.checker import Expect, Verdict, check, check_report, listing
from tests.flow.support.drive import Cloud, label_of

FUNCTIONS = ("onUpload", "onFolder", "onPage", "onSchedule")
VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME")
VISIBILITY = {"inbox": "8", "backlog": "8", "folder": "30", "page": "8"}
"""Seconds after which what a killed function held comes again; six timeouts in production.

The folder's is longer than its last step, the report: a timer that came again while its own run is
at work would count as another call, and each run would be followed by one more.
"""

QUEUES = tuple(VISIBILITY)
THREADS = 8
LOOK_SECONDS = 0.5
CLOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Deployed:
    """`functions` is Lambda's client."""

    cloud: Cloud
    running: local.LocalCloud

    @contextmanager
    def behind(self, *rules: Rule) -> Iterator[Proxy]:
        ports = self.running.ports
        upstream: dict[Service, str] = {"s3": ports.aws_url, "sqs": ports.aws_url}
        upstream["sagemaker-runtime"] = ports.sagemaker_url
        key = self.running.key
        keys = Keys(key.access_key_id, key.secret_access_key, ports.aws_url, REGION)
        proxy = Proxy(upstream, [*rules], keys=keys)
        with (
            proxy.serving(),
            self.environment(dict(zip(VARIABLES, proxy.urls.values(), strict=True))),
        ):
            yield proxy

    @contextmanager
    def environment(self, more: dict[str, str]) -> Iterator[None]:
        """These variables beside the functions' own, until the end."""
        functions = self.running.client("lambda")
        names = [f"sortbox-local-{name}" for name in FUNCTIONS]
        before = {
            name: functions.get_function_configuration(FunctionName=name)["Environment"][
                "Variables"
            ]
            for name in names
        }
        for name, variables in before.items():
            _configure(functions, name, variables | more)
        try:
            yield
        finally:
            for name, variables in before.items():
                _configure(functions, name, variables)

    @contextmanager
    def forgetful_queues(self) -> Iterator[None]:
        sqs = self.cloud.sqs
        before = {
            url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
            for url in map(self.cloud.queue, QUEUES)
        }
        for name, seconds in VISIBILITY.items():
            url = self.cloud.queue(name)
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": seconds})
        try:
            yield
        finally:
            for url, found in before.items():
                sqs.set_queue_attributes(QueueUrl=url, Attributes=found["Attributes"])

    @contextmanager
    def concurrency(self, uploads: int) -> Iterator[None]:
        """So many batches of the inbox queue at once, until the end."""
        functions = self.running.client("lambda")
        name = "sortbox-local-onUpload"
        found = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        (mapping,) = (each for each in found if each["EventSourceArn"].endswith("-inbox"))
        more = {"MaximumConcurrency": uploads}
        functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=more)
        try:
            yield
        finally:
            before = mapping["ScalingConfig"]
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=before)

    def send(self, plan: Plan) -> int:
        """Everything at once, in about its order; returns how many uploads there were."""
        with ThreadPoolExecutor(THREADS) as people:
            return sum(people.map(lambda each: self._act(each[1]), plan))

    def _act(self, act: object) -> int:
        match act:
            case Upload(key, body):
                self.cloud.drop(key, b"BAD" + body if body.startswith(b"junk") else body)
                return 1
            case Ready(key):
                self.cloud.drop(key)
            case Remove(key):
                self.cloud.remove(key)
        return 0

    def at_rest(self, patience: float, elsewhere: Callable[[], bool] = lambda: True) -> float:
        """Waits until the queues are empty and no run is open; returns the seconds it took.

        Where a run is open and no message is left, the clock strikes: every five seconds here, in
        production every five minutes.
        """
        began = struck = time.monotonic()
        while True:
            found = self.depths()
            if not any(found[name] for name in QUEUES) and elsewhere():
                if not any(self.depths().values()):
                    return time.monotonic() - began
                if time.monotonic() - struck > CLOCK_SECONDS:
                    self._strike()
                    struck = time.monotonic()
            if time.monotonic() - began > patience:
                raise AssertionError(f"not at rest in {patience:.0f} s: {found}\n{self._open()}")
            time.sleep(LOOK_SECONDS)

    def _strike(self) -> None:
        self.running.client("lambda").invoke(FunctionName="sortbox-local-onSchedule")

    def _open(self) -> str:
        """What the open runs say of themselves, how far they are, and their jobs."""
        s3, bucket = self.cloud.s3, self.cloud.bucket
        told = [key for key in listing(s3, bucket, "outbox/") if key.endswith("/_status.json")]
        told += listing(s3, bucket, "work/claims/")
        jobs = self.cloud.sagemaker.list_transform_jobs(MaxResults=100)["TransformJobSummaries"]
        return "\n".join(
            [
                *(f"{key}: {self.cloud.read(key)!r}" for key in told),
                *(key for key in listing(s3, bucket, "work/") if "/progress/" in key),
                *(f"{job['TransformJobName']}: {job['TransformJobStatus']}" for job in jobs),
            ]
        )

    def depths(self) -> dict[str, int]:
        found = {name: self.cloud.depth(name) for name in QUEUES}
        return found | {
            "runs": len(list(listing(self.cloud.s3, self.cloud.bucket, "work/claims/")))
        }

    def dead(self) -> int:
        return sum(self.cloud.depth(f"{name}-dead") for name in QUEUES)

    def verdict(self) -> Verdict:
        model = str(self.cloud.active().id).rsplit(":sha256", 1)[0]
        expect = Expect(_label, lambda key: frozenset({model}))
        verdict = check(self.cloud.s3, self.cloud.bucket, expect)
        for key in listing(self.cloud.s3, self.cloud.bucket, "outbox/"):
            if key.endswith("/_status.json"):
                check_report(self.cloud.s3, self.cloud.bucket, key.split("/")[1], verdict)
        return verdict

    def folders(self) -> set[str]:
        """The prefixes of those that have had a run."""
        keys = listing(self.cloud.s3, self.cloud.bucket, "outbox/")
        found = (key for key in keys if key.endswith("/_status.json") and key[7] != "_")
        return {f"inbox/{key.split('/')[1]}/" for key in found}

    @contextmanager
    def listening(self) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """To notices, by a rule and a queue of somebody else's; what is called takes those that
        have come, as details of events."""
        events, sqs = self.running.client("events"), self.cloud.sqs
        rule = events.put_rule(Name="listener", EventPattern='{"source": ["sortbox"]}')["RuleArn"]
        queue = f"arn:aws:sqs:{REGION}:{rule.split(':')[4]}:listener"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        url = sqs.create_queue(QueueName="listener", Attributes={"Policy": policy})["QueueUrl"]
        events.put_targets(Rule="listener", Targets=[{"Id": "queue", "Arn": queue}])

        def take() -> list[dict[str, Any]]:
            taken: list[dict[str, Any]] = []
            while True:
                found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
                if not found.get("Messages"):
                    return taken
                for message in found["Messages"]:
                    taken.append(json.loads(message["Body"])["detail"])
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

        try:
            yield take
        finally:
            events.remove_targets(Rule="listener", Ids=["queue"])
            events.delete_rule(Name="listener")
            sqs.delete_queue(QueueUrl=url)

    def logged(self, function: str, text: str) -> int:
        pages = self.running.client("logs").get_paginator("filter_log_events")
        group = f"/aws/lambda/sortbox-local-{function}"
        found = pages.paginate(logGroupName=group, filterPattern=json.dumps(text))
        return sum(len(page["events"]) for page in found)


def _configure(functions: Any, name: str, variables: dict[str, str]) -> None:
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def _label(body: bytes) -> str | None:
    return None if body.startswith(b"BAD") else label_of(body)
