"""Both servers of the local cloud as `up` starts them, with nothing deployed in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from infra.local import account, container_image, ports, supervisor
from infra.local.account import AccessKey
from infra.local.place import EMULATOR_PYTHON, Place, Ports, write_private
from tests.contract.local_sagemaker.patience import until

BUCKET = "kept-to-ourselves"


@dataclass(frozen=True)
class Servers:
    place: Place
    ports: Ports
    key: AccessKey
    enforce_roles: bool

    def client(self, service: str, key: tuple[str | None, ...] = (), **config: Any) -> Any:
        """boto3's, with the owner's key or another one: id, secret and perhaps a token."""
        used = key or (self.key.access_key_id, self.key.secret_access_key)
        url = self.ports.sagemaker_url if service.startswith("sagemaker") else self.ports.aws_url
        once = Config(retries={"total_max_attempts": 1}, signature_version="v4", **config)
        of_s3 = once.merge(Config(signature_version="s3v4"))
        session = boto3.Session(*used, region_name=account.REGION)
        return session.client(  # type: ignore[call-overload]
            service, endpoint_url=url, config=of_s3 if service == "s3" else once
        )


@pytest.fixture(scope="session", params=[False, True], ids=["open", "roles"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    if not EMULATOR_PYTHON.exists():
        pytest.skip("the emulator's environment is not built: run `make env`")
    place = Place(Path(tmp_path_factory.mktemp("guarded")))
    place.close_to_others()
    chosen = ports.choose(place, print)
    write_private(place.aws_config, account.CONFIG)
    container_image.write_commands(place, {})
    started = Servers(place, chosen, AccessKey.of(place), request.param)
    children = [
        supervisor.emulator(place, chosen, started.enforce_roles),
        supervisor.sagemaker(place, chosen),
    ]
    until(lambda: supervisor.is_ready(chosen) or not all(child.is_alive for child in children))
    assert supervisor.is_ready(chosen), [child.log.read_text()[-2000:] for child in children]
    started.client("s3").create_bucket(Bucket=BUCKET)
    yield started
    for child in children:
        child.stop()
