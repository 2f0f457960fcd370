from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.local_sagemaker.support.aws import serve
from tests.contract.local_sagemaker.support.cloud import BUCKET, Cloud
from tests.contract.local_sagemaker.support.event_bridge import EventBridge


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """The address of an S3."""
    with serve() as address:
        yield address


@pytest.fixture(scope="session")
def event_bridge() -> Iterator[EventBridge]:
    bridge = EventBridge()
    yield bridge
    bridge.close()


@pytest.fixture(scope="session")
def cloud(
    aws: str, event_bridge: EventBridge, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("sagemaker"), aws, event_bridge)
    cloud.s3.create_bucket(Bucket=BUCKET)
    yield cloud
    cloud.server.stop()


@pytest.fixture
def own_cloud(aws: str, cloud: Cloud, tmp_path: Path) -> Iterator[Cloud]:
    """A server that the test may kill, over the same S3 as `cloud`."""
    bridge = EventBridge()
    own = Cloud(tmp_path, aws, bridge)
    yield own
    own.server.stop()
    bridge.close()
