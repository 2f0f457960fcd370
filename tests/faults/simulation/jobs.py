"""Transform jobs that read each image at some moment of their run, and end as jobs do."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from domain.reply import to_json
from tests.support.fakes.sagemaker import FakeSageMaker
from tests.support.worlds.uploads import model, reply_to


@dataclass
class Jobs(FakeSageMaker):
    """`started(name)` is told of every new job; the share `skipped` of its objects is not written.

    `at_first` has what each image of a running job was when it began.
    """

    started: Callable[[str], None] = lambda name: None
    skipped: float = 0.01
    at_first: dict[str, dict[str, bytes]] = field(default_factory=dict)
    most_at_once: int = 0

    def create_transform_job(self, **request: Any) -> dict[str, Any]:
        answer = super().create_transform_job(**request)
        name = request["TransformJobName"]
        self.most_at_once = max(self.most_at_once, len(self.running()))
        objects = self.s3.objects
        self.at_first[name] = {
            key: objects[key].body for key in self.images(name) if key in objects
        }
        self.started(name)
        return answer

    def finish(self, name: str, random: Random, is_stopped: bool) -> None:
        """Some images were read when the job began and the others only now."""
        job, wanted = self.jobs[name], self.images(name)
        at_first = self.at_first.pop(name)
        head = json.loads(self.s3.objects[self._key(job.manifest)].body)[0]
        number = int(job.request["ModelName"].rpartition("-")[2])
        kept = 0.5 if is_stopped else 1 - self.skipped
        there = [key for key in wanted if key in at_first]
        # A job that answers nothing at all fails its run: that story is told elsewhere.
        seen = there[:1] + [key for key in there[1:] if random.random() < kept]
        for key in seen:
            now = self.s3.objects.get(key)
            body = now.body if now and random.random() < 0.5 else at_first[key]
            relative = key.removeprefix(self._key(head["prefix"]))
            self.write(name, relative, to_json(reply_to(body, model(number))))
        job.status = "Completed" if len(seen) == len(wanted) else "Failed"
        job.status = "Stopped" if is_stopped else job.status
        job.reason = "ClientError: see the log" if job.status == "Failed" else None
