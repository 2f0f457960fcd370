"""Any process of the local cloud is killed while it works; `up` goes on and nothing is lost."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from infra.local import cloud as local
from infra.local.cloud import LocalCloud
from infra.local.container_image import ImageCommand
from infra.local.place import REPOSITORY, VARIABLE, Place
from infra.local.processes import MARK
from infra.stage import Stage
from tests.flow.conftest import STAND_IN, archive
from tests.flow.support.drive import Cloud, eventually, label_of

pytestmark = pytest.mark.flow

IMAGES = 12
CHECKPOINTS = "training/checkpoints/killed"

PROCESSES = {
    "the emulator": ("infra/local/emulator.py", False),
    "the emulator's leash": ("infra/local/emulator.py", True),
    "the supervisor": ("infra.local.supervisor", False),
    "SageMaker": ("infra.local.sagemaker", False),
    "SageMaker's leash": ("infra.local.sagemaker", True),
    "a container's server": ("tests.stand_in", False),
    "a container's leash": ("tests.stand_in", True),
    "a function": ("_worker.py", False),
}
"""A part of each process's command line, and whether its leash is meant."""


@dataclass
class Survivor:
    """A cloud of its own, which is killed and comes up again."""

    root: Path
    running: LocalCloud | None = None

    def up(self) -> Cloud:
        stand_in = ImageCommand(
            argv=[sys.executable, "-m", "tests.stand_in"],
            train=[sys.executable, "-m", "tests.stand_in.train"],
            cwd=str(REPOSITORY),
            env={},
        )
        self.running = local.up(Place(self.root), print, {STAND_IN: stand_in})
        running = self.running
        return Cloud(
            s3=running.client("s3"),
            sqs=running.client("sqs"),
            sagemaker=running.client("sagemaker"),
            bucket=running.bucket,
            stage=running.stage,
        )

    def activate(self, model: Path) -> None:
        assert self.start_activating(model).wait() == 0

    def start_activating(self, model: Path) -> "subprocess.Popen[bytes]":
        assert self.running is not None
        command = [sys.executable, "-m", "infra.models.activate", self.running.stage]
        environment = self.running.environment
        return subprocess.Popen([*command, str(model), STAND_IN], cwd=REPOSITORY, env=environment)

    def train(self, name: str, steps: int) -> None:
        """Starts a job that saves a checkpoint after each step, a tenth of a second."""
        assert self.running is not None
        bucket, stage = self.running.bucket, Stage(self.running.stage)
        [stack] = self.running.client("cloudformation").describe_stacks(StackName=stage.stack)[
            "Stacks"
        ]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/training/data/"}
        self.running.client("sagemaker").create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": STAND_IN, "TrainingInputMode": "File"},
            RoleArn=outputs["TrainingRoleArn"],
            HyperParameters={"steps": str(steps), "step_ms": "100"},
            InputDataConfig=[{"ChannelName": "data", "DataSource": {"S3DataSource": source}}],
            OutputDataConfig={"S3OutputPath": f"s3://{bucket}/training/jobs"},
            CheckpointConfig={"S3Uri": f"s3://{bucket}/{CHECKPOINTS}"},
            ResourceConfig={
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )

    def kill(self, part: str, is_leash: bool) -> int:
        killed = 0
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environ, line = process.environ(), " ".join(process.cmdline())
                is_ours = MARK in environ and environ.get(VARIABLE) == str(self.root)
                if is_ours and part in line and ("leash.py" in line) == is_leash:
                    process.kill()
                    killed += 1
        return killed


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survivor]:
    survivor = Survivor(tmp_path_factory.mktemp("survivor"))
    cloud = survivor.up()
    for name in ("inbox", "folder", "page"):  # what a killed function left, in seconds
        cloud.sqs.set_queue_attributes(
            QueueUrl=cloud.queue(name), Attributes={"VisibilityTimeout": "10"}
        )
    survivor.activate(archive(tmp_path_factory.mktemp("model") / "stand-in.tar.gz", "stand-in"))
    yield survivor
    local.down(Place(survivor.root), print)


@pytest.mark.parametrize("process", PROCESSES)
def test_whatever_is_killed_every_image_is_answered(survivor: Survivor, process: str) -> None:
    part, is_leash = PROCESSES[process]
    cloud = survivor.up()
    folder = process.replace(" ", "-").replace("'", "")
    images = {f"inbox/{folder}-{number}.jpg": f"{folder} {number}" for number in range(IMAGES)}
    images |= {f"inbox/{folder}/{number}.jpg": f"in {folder} {number}" for number in range(3)}
    for key, body in images.items():
        cloud.drop(key, body.encode())
    assert survivor.kill(part, is_leash), f"{process} is not there to be killed"
    again = survivor.up()
    again.drop(f"inbox/{folder}/_READY")
    for key, body in images.items():
        assert again.label(key) == label_of(body.encode()), key
    again.ended(folder)
    assert again.summary(folder)["classified"] == 3


def test_sagemaker_killed_while_it_trains_and_updates_says_so_and_does_both_again(
    survivor: Survivor, tmp_path: Path
) -> None:
    cloud = survivor.up()
    cloud.drop("training/data/1.txt", b"one")
    survivor.train("killed-1", steps=100_000)
    eventually(lambda: cloud.read(f"{CHECKPOINTS}/step"), "a checkpoint")
    before, endpoint = cloud.active(), cloud.active().endpoint
    assert endpoint is not None
    other = archive(tmp_path / "other.tar.gz", "other")
    activating = survivor.start_activating(other)

    def is_updating() -> bool | None:
        described = cloud.sagemaker.describe_endpoint(EndpointName=endpoint)
        return described["EndpointStatus"] == "Updating" or None

    eventually(is_updating, f"an update of {endpoint}")
    assert survivor.kill("infra.local.sagemaker", is_leash=False)
    assert activating.wait(60) != 0, "nobody has seen the endpoint with the other model"
    again = survivor.up()
    job = again.sagemaker.describe_training_job(TrainingJobName="killed-1")
    assert job["TrainingJobStatus"] == "Failed"
    assert "ended while the job was running" in job["FailureReason"]
    again.sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=endpoint, WaiterConfig={"Delay": 1}
    )
    undone = again.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert "ended during the update" in undone["FailureReason"]
    assert again.active() == before
    again.drop("inbox/undone.jpg", b"undone")
    assert again.label("inbox/undone.jpg") == label_of(b"undone")
    kept = int(again.read(f"{CHECKPOINTS}/step") or 0)
    survivor.train("killed-2", steps=kept + 1)
    survivor.activate(other)
    assert again.active().id.name == "other"

    def ended() -> str | None:
        status = again.sagemaker.describe_training_job(TrainingJobName="killed-2")
        return None if status["TrainingJobStatus"] == "InProgress" else status["TrainingJobStatus"]

    assert eventually(ended, "the second job's end") == "Completed"
    assert int(again.read(f"{CHECKPOINTS}/step") or 0) == kept + 1, "it began at the checkpoint"


def test_a_deployment_that_was_never_saved_is_repeated_and_adopts_the_bucket(
    survivor: Survivor,
) -> None:
    """As after a kill during the first one: the bucket is on disk, and nothing describes it."""
    cloud = survivor.up()
    cloud.drop("inbox/.kept", b"kept")
    assert survivor.kill("infra/local/emulator.py", is_leash=False)
    for file in (survivor.root / "state" / "aws").glob("state.db*"):
        file.unlink()
    again = survivor.up()
    assert "adopting bucket" in (survivor.root / "logs" / "aws.log").read_text()
    assert again.read("inbox/.kept") == b"kept"
    assert again.s3.get_bucket_versioning(Bucket=again.bucket)["Status"] == "Enabled"
    events = again.s3.get_bucket_notification_configuration(Bucket=again.bucket)
    assert events["QueueConfigurations"]
