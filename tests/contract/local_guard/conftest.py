"""Both servers of the local cloud as `up` starts them, with nothing deployed in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from infra.local import account, accounts, container_image, supervisor
from infra.local.account import AccessKey
from infra.local.accounts import Account
from infra.local.place import EMULATOR_PYTHON, Place, Ports, choose_ports, write_private
from tests.contract.local_sagemaker.support.patience import until

BUCKET = "kept-to-ourselves"
OF_SAGEMAKER = ("sagemaker", "service-quotas")


@dataclass(frozen=True)
class Servers:
    place: Place
    ports: Ports
    key: AccessKey

    def client(self, service: str, key: tuple[str, ...] = (), url: str = "") -> Any:
        """boto3's, with the owner's key or another one: id, secret and perhaps a token."""
        used = key or (self.key.access_key_id, self.key.secret_access_key)
        own = self.ports.sagemaker_url if service.startswith(OF_SAGEMAKER) else self.ports.aws_url
        once = Config(retries={"total_max_attempts": 1}, signature_version="v4")
        of_s3 = once.merge(Config(signature_version="s3v4"))
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        given: dict[str, str] = dict(zip(names, used, strict=False))
        session = boto3.Session(**given, region_name=account.REGION)  # type: ignore[arg-type]
        return session.client(  # type: ignore[call-overload]
            service, endpoint_url=url or own, config=of_s3 if service == "s3" else once
        )


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with started(tmp_path_factory.mktemp("guarded")) as both:
        yield both


@contextmanager
def started(folder: Path) -> Iterator[Servers]:
    if not EMULATOR_PYTHON.exists():
        pytest.skip("the emulator's environment is not built: run `make env`")
    place = Place(folder)
    place.close_to_others()
    chosen = choose_ports(place, print)
    write_private(place.aws_config, account.CONFIG)
    container_image.write_commands(place, {})
    both = Servers(place, chosen, AccessKey.of(place))
    established = Account.named(accounts.ESTABLISHED)
    children = [
        supervisor.emulator(place, chosen, established),
        supervisor.sagemaker(place, chosen, established),
    ]
    until(lambda: supervisor.is_ready(chosen) or not all(child.is_alive for child in children))
    assert supervisor.is_ready(chosen), [child.log.read_text()[-2000:] for child in children]
    both.client("s3").create_bucket(Bucket=BUCKET)
    yield both
    for child in children:
        child.stop()
