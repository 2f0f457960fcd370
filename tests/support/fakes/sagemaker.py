"""Transform jobs that end on request, and write what a container would have answered."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from batch.jobs.output_names import beyond_prefix
from domain.reply import to_json
from tests.support.fakes.aws import FakeS3, error
from tests.support.worlds.uploads import model, reply_to


def every(key: str) -> bool:
    return True


def no_one(key: str) -> bool:
    return False


@dataclass
class FakeJob:
    request: dict[str, Any]
    status: str = "InProgress"
    reason: str | None = None

    @property
    def manifest(self) -> str:
        uri: str = self.request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        return uri

    @property
    def number(self) -> int:
        return int(self.request["ModelName"].rpartition("-")[2])

    @property
    def output(self) -> str:
        uri: str = self.request["TransformOutput"]["S3OutputPath"]
        return uri


@dataclass
class FakeSageMaker:
    """A job's containers run the model that its request names by a number at its end.

    `capacity` is how many jobs may run at once.
    """

    s3: FakeS3
    capacity: int = 100
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    meanwhile: Callable[[], None] = lambda: None
    """Called before a job is created: what another process does at that moment."""
    name_output: Callable[[str, str], str] = beyond_prefix
    """The name of an output, without `.out`, by the manifest's prefix and the image's key."""

    def create_transform_job(self, **request: Any) -> dict[str, Any]:
        self.meanwhile()
        name = request["TransformJobName"]
        if name in self.jobs:
            raise error("CreateTransformJob", 400, "ResourceInUse")
        if sum(job.status == "InProgress" for job in self.jobs.values()) >= self.capacity:
            raise error("CreateTransformJob", 400, "ResourceLimitExceeded")
        self.jobs[name] = FakeJob(request)
        return {"TransformJobArn": f"arn:aws:sagemaker:eu-west-1:1:transform-job/{name}"}

    def describe_transform_job(self, *, TransformJobName: str) -> dict[str, Any]:
        if TransformJobName not in self.jobs:
            missing = error("DescribeTransformJob", 400, "ValidationException")
            missing.response["Error"]["Message"] = "Could not find requested job with name: x"
            raise missing
        job = self.jobs[TransformJobName]
        description = job.request | {"TransformJobStatus": job.status}
        return description | ({"FailureReason": job.reason} if job.reason else {})

    def images(self, name: str) -> list[str]:
        """The keys of the job's manifest."""
        head, *relative = json.loads(self.s3.objects[self._key(self.jobs[name].manifest)].body)
        return [self._key(head["prefix"]) + key for key in relative]

    def end(
        self,
        name: str,
        answers: Callable[[str], bool] = every,
        status: str = "Completed",
        reason: str = "ClientError: see the log",
    ) -> None:
        """Writes the outputs of the images that `answers` chooses, and ends the job."""
        job = self.jobs[name]
        head = json.loads(self.s3.objects[self._key(job.manifest)].body)[0]
        for key in self.images(name):
            image = self.s3.objects.get(key)
            if image is None or not answers(key):
                status = "Failed" if status == "Completed" else status
                continue
            relative = self.name_output(self._key(head["prefix"]), key)
            self.write(name, relative, to_json(reply_to(image.body, model(job.number))))
        job.status = status
        job.reason = reason if status == "Failed" else None

    def write(self, name: str, relative: str, text: str) -> None:
        key = self._key(self.jobs[name].output) + relative + ".out"
        self.s3.put_object(Bucket=self.s3.bucket, Key=key, Body=text.encode())

    def running(self) -> list[str]:
        return [name for name, job in self.jobs.items() if job.status == "InProgress"]

    def _key(self, uri: str) -> str:
        return uri.removeprefix(f"s3://{self.s3.bucket}/")
