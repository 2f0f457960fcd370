"""A stage that the previous release deployed is upgraded while people upload: nothing is lost."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from domain import keys
from domain.result import SOURCE_VERSION
from infra.local import cloud as local
from infra.local.container_image import ImageCommand
from infra.local.place import REPOSITORY, VARIABLE, Place
from infra.stage import Stage
from tests.flow.conftest import STAND_IN, archive
from tests.flow.support.drive import Cloud, label_of
from tests.flow.support.traffic import Traffic
from tests.stand_in.live import Knobs, Live
from tests.support.releases import stored

pytestmark = pytest.mark.flow

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
NEW_IMAGE = STAND_IN.replace("5" * 64, "6" * 64)
OPEN_IMAGES = 40
DEAD = ("inbox-dead", "folder-dead", "page-dead")


def key_of(number: int) -> str:
    """Two singles, then an image of a folder."""
    return f"inbox/{'during/' if number % 3 == 0 else ''}upload {number}.jpg"


@dataclass
class Upgraded:
    """A stage as the previous release left it, in a local cloud of its own."""

    root: Path
    old_live: Live
    running: local.LocalCloud = field(init=False)
    cloud: Cloud = field(init=False)
    restored: dict[str, bytes] = field(default_factory=dict)

    def up(self) -> None:
        """Start the cloud, empty, with the previous release's container and today's."""
        old_sources = self.root / "old"
        stored.write_sources(old_sources)
        live = {"STAND_IN_LIVE": str(self.old_live.folder)}
        argv = [sys.executable, "-m", "tests.stand_in"]
        images = {
            STAND_IN: ImageCommand(argv=argv, cwd=str(old_sources), env=live),
            NEW_IMAGE: ImageCommand(argv=argv, cwd=str(REPOSITORY), env={}),
        }
        self.running = running = local.up(
            Place((self.root / "cloud").resolve()), print, images, is_empty=True
        )
        s3, sqs, sagemaker = map(running.client, ("s3", "sqs", "sagemaker"))
        self.cloud = Cloud(s3, sqs, sagemaker, running.bucket, running.stage)

    def restore(self) -> None:
        """The previous release's stacks, its bucket, and its endpoint with the active model.

        Notifications are off while the bucket is filled: its images have their results.
        """
        stage = Stage(self.running.stage)
        self._stack("create", stage.storage_stack, "storage")
        s3, bucket = self.cloud.s3, self.cloud.bucket
        events = s3.get_bucket_notification_configuration(Bucket=bucket)
        events.pop("ResponseMetadata", None)  # type: ignore[misc]
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
        self._fill()
        s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration=events,  # type: ignore[arg-type]
        )
        s3.put_object(
            Bucket=bucket,
            Key=_code_key(stored.template("functions")),
            Body=stored.lambda_zip(self.root),
        )
        self._stack("create", stage.stack, "functions")
        outputs = {
            output["OutputKey"]: output["OutputValue"]
            for output in self._describe(stage.stack).get("Outputs", [])
        }
        state, sagemaker = stored.stage(), self.cloud.sagemaker
        for model in state["models"]:
            sagemaker.create_model(**model, ExecutionRoleArn=outputs["ModelRoleArn"])
        for config in state["configs"]:
            sagemaker.create_endpoint_config(**config)
        sagemaker.create_endpoint(**state["endpoint"])
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=state["endpoint"]["EndpointName"],
            WaiterConfig={"Delay": 1, "MaxAttempts": 120},
        )

    def _fill(self) -> None:
        """Results name versions of images, which differ in another bucket."""
        s3, bucket = self.cloud.s3, self.cloud.bucket
        versions: dict[str, str] = {}
        for each in stored.at_rest():
            body, metadata = each.body, dict(each.metadata)
            image = each.key.startswith("outbox/") and SOURCE_VERSION in metadata
            if image:
                about = json.loads(body).get("image", keys.INBOX + "packed.zip")
                old, metadata[SOURCE_VERSION] = metadata[SOURCE_VERSION], versions[about]
                body = body.replace(old.encode(), versions[about].encode())
            put = s3.put_object(Bucket=bucket, Key=each.key, Body=body, Metadata=metadata)
            versions[each.key] = put["VersionId"]
            self.restored[each.key] = body

    def roll_back_stacks(self) -> None:
        self._stack("update", Stage(self.running.stage).stack, "functions")

    def _stack(self, verb: str, name: str, template: str) -> None:
        cloudformation = self.running.client("cloudformation")
        getattr(cloudformation, f"{verb}_stack")(
            StackName=name,
            TemplateBody=stored.template(template),
            Parameters=stored.stage()["stacks"][name],
            Capabilities=CAPABILITIES,
            Tags=Stage(self.running.stage).tags,
        )
        cloudformation.get_waiter(f"stack_{verb}_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )

    def _describe(self, stack: str) -> dict[str, Any]:
        described = self.running.client("cloudformation").describe_stacks(StackName=stack)
        found: dict[str, Any] = described["Stacks"][0]
        return found

    def run(self, *command: str) -> None:
        """A command of today's release, in this cloud."""
        place = {VARIABLE: str(self.running.place.root), "SLS_AWS_MONITORING_FREQUENCY": "200"}
        subprocess.run(
            [sys.executable, "-m", *command],
            cwd=REPOSITORY,
            env=self.running.environment | place,
            check=True,
        )


def _code_key(template: str) -> str:
    (key,) = {
        resource["Properties"]["Code"]["S3Key"]
        for resource in json.loads(template)["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    return str(key)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Upgraded]:
    live = Live(tmp_path / "live")
    live.folder.mkdir()
    upgraded = Upgraded(tmp_path, live)
    upgraded.up()
    yield upgraded
    local.down(upgraded.running.place, print)


def test_a_stage_of_the_previous_release_is_upgraded_under_traffic(
    stage: Upgraded, tmp_path: Path
) -> None:
    stage.restore()
    cloud, live = stage.cloud, stage.old_live
    old = cloud.active()
    begun = {f"inbox/open/{n}.jpg": b"open %d" % n for n in range(OPEN_IMAGES)}
    live.turn(Knobs(delay_ms=400))  # so that the run is open while the stage is upgraded
    for key, body in {**begun, "inbox/open/_READY": b""}.items():
        cloud.drop(key, body)
    cloud.job("open", "InProgress")
    with Traffic(cloud, key_of, seconds=0.25) as traffic:
        stage.run("infra.stacks.deploy", cloud.stage)
    live.turn(Knobs())
    cloud.drop("inbox/during/_READY")
    cloud.drop("inbox/trip/added.jpg", b"added")
    cloud.drop("inbox/trip/_READY")

    for key, body in {**traffic.bodies, **begun, "inbox/trip/added.jpg": b"added"}.items():
        assert cloud.label(key) == label_of(body, old.id.name), f"{key} has its answer"
    for folder in ("open", "during", "trip"):
        cloud.ended(folder)
    cloud.at_rest()
    assert sum(map(cloud.depth, DEAD)) == 0, "no message has failed for good"
    assert cloud.summary("open")["classified"] == OPEN_IMAGES

    for key, body in stage.restored.items():
        if key.startswith("outbox/") and result_of(key):
            assert cloud.read(key) == body, f"{key} is still the answer of before the upgrade"
    table = (cloud.folder_file("trip", "predictions.csv") or b"").decode()
    assert table.count("inbox/trip/") == 6, "today's table has the rows of the previous release"

    stage.run("infra.models.activate", cloud.stage, str(model(tmp_path)), NEW_IMAGE)
    cloud.drop("inbox/promoted.jpg", b"promoted")
    promoted = cloud.answered("inbox/promoted.jpg").by
    assert promoted is not None
    assert promoted.model == cloud.active().id
    assert promoted.model.name == "today"
    stage.run("cli", "rollback", "--stage", cloud.stage)
    assert cloud.active().id == old.id, "a rollback goes back to the model of before the upgrade"
    cloud.drop("inbox/back.jpg", b"back")
    assert cloud.label("inbox/back.jpg") == label_of(b"back", old.id.name)

    stage.roll_back_stacks()
    cloud.drop("inbox/old.jpg", b"old")
    assert cloud.label("inbox/old.jpg") == label_of(b"old", old.id.name)


def result_of(key: str) -> bool:
    return keys.image_key(key) in {each.key for each in stored.at_rest()}


def model(folder: Path) -> Path:
    return archive(folder / "today.tar.gz", "today")
