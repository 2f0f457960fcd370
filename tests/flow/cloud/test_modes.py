"""The way in which singles are answered is switched while people upload: nothing is lost."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from domain.model import EndpointMode
from infra.local import cloud as local
from infra.local.container_image import ImageCommand
from infra.local.place import REPOSITORY, VARIABLE
from infra.stage import Stage
from tests.flow.conftest import STAND_IN, archive
from tests.flow.support.drive import Cloud, eventually, label_of, top_label
from tests.flow.support.traffic import Traffic

pytestmark = pytest.mark.flow

SWITCHES: tuple[EndpointMode, ...] = ("none", "serverless", "instance")
DEAD = ("inbox-dead", "backlog-dead", "folder-dead", "page-dead")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.LocalCloud]:
    stand_in = ImageCommand(
        argv=[sys.executable, "-m", "tests.stand_in"], cwd=str(REPOSITORY), env={}
    )
    with local.local_cloud(tmp_path_factory.mktemp("modes"), {STAND_IN: stand_in}) as running:
        model = archive(tmp_path_factory.mktemp("model") / "model.tar.gz", "stand-in")
        run(running, "infra.models.activate", running.stage, str(model), STAND_IN)
        yield running


@pytest.fixture(scope="module")
def cloud(running: local.LocalCloud) -> Cloud:
    return Cloud(
        s3=running.client("s3"),
        sqs=running.client("sqs"),
        sagemaker=running.client("sagemaker"),
        bucket=running.bucket,
        stage=running.stage,
    )


def run(running: local.LocalCloud, *command: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=REPOSITORY,
        env=running.environment | {VARIABLE: str(running.place.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def switch(running: local.LocalCloud, mode: EndpointMode) -> str:
    return run(running, "cli", "endpoint", "--stage", running.stage, "--mode", mode)


def endpoints(cloud: Cloud) -> set[str]:
    return {one["EndpointName"] for one in cloud.sagemaker.list_endpoints()["Endpoints"]}


def more_than(uploads: int, singles: Traffic) -> None:
    """Waits for another upload in the mode."""
    eventually(lambda: len(singles.bodies) > uploads or None, "more uploads")


def only(names: set[str], cloud: Cloud) -> None:
    eventually(lambda: endpoints(cloud) == names or None, f"no endpoints but {names}")


def test_switching_between_all_modes_under_traffic_loses_nothing(
    running: local.LocalCloud, cloud: Cloud
) -> None:
    names = Stage(cloud.stage).endpoint_names
    with Traffic(cloud, "inbox/switch {}.jpg".format, seconds=0.5) as singles:
        for mode in SWITCHES:
            output = switch(running, mode)
            active = cloud.active()
            assert (active.mode, active.endpoint) == (mode, names.get(mode)), output
            more_than(len(singles.bodies), singles)
            only({names[mode]} if mode in names else set(), cloud)
    routes: Counter[str] = Counter()
    for key, body in singles.bodies.items():
        answer = cloud.answered(key)
        assert top_label(answer) == label_of(body), key
        routes[answer.how.route] += 1
    assert set(routes) == {"endpoint", "batch"}, "jobs answered while there was no endpoint"
    for queue in DEAD:
        url = cloud.sqs.get_queue_url(QueueName=f"sortbox-{cloud.stage}-{queue}")["QueueUrl"]
        counts = cloud.sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        assert counts["Attributes"]["ApproximateNumberOfMessages"] == "0", queue


def test_a_deployment_that_does_not_name_the_mode_keeps_it(
    running: local.LocalCloud, cloud: Cloud
) -> None:
    switch(running, "none")
    run(running, "cli", "deploy", "--stage", running.stage)
    assert cloud.active().mode == "none", "an instance bills by the hour"
    assert endpoints(cloud) == set()
    etag = cloud.drop("inbox/kept.jpg", b"kept")
    assert cloud.answered("inbox/kept.jpg", etag).how.route == "batch"
