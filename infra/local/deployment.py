"""The two stacks in a local cloud, deployed as in any other; skipped where nothing has changed."""

import hashlib
import os
import subprocess
import sys

import boto3
from botocore.exceptions import ClientError

from domain.errors import SortboxError
from infra.local.account import REGION, STAGE, AccessKey, environment
from infra.local.place import REPOSITORY, Place, Ports, write_private
from infra.stacks import bundle


class NotDeployed(SortboxError):
    """A sentence; what the tools said has been printed."""


def deploy(place: Place, ports: Ports) -> None:
    bundle.build(bundle.BUNDLE)
    now, key = _fingerprint(), AccessKey.of(place)
    if place.deployed.is_file() and place.deployed.read_text() == now and _stacks_stand(ports, key):
        return
    place.deployed.unlink(missing_ok=True)
    command = [sys.executable, "-m", "infra.stacks.deploy", STAGE.name]
    # osls looks every 5 s otherwise, and here a stack is deployed in less than one.
    quickly = environment(place, ports, os.environ) | {"SLS_AWS_MONITORING_FREQUENCY": "200"}
    status = subprocess.run(command, cwd=REPOSITORY, env=quickly, check=False).returncode
    if status != 0:
        raise NotDeployed(f"the local cloud runs, but deploying into it ended with {status}")
    write_private(place.deployed, now)


def _fingerprint() -> str:
    """Of all that a deployment is made of."""
    sources = [bundle.BUNDLE, REPOSITORY / "serverless.yml", REPOSITORY / "package-lock.json"]
    sources += sorted((REPOSITORY / "infra" / "stacks").glob("*.yml"))
    content = hashlib.sha256()
    for source in sources:
        content.update(hashlib.sha256(source.read_bytes()).digest())
    return content.hexdigest()


def _stacks_stand(ports: Ports, key: AccessKey) -> bool:
    """A cloud that was killed comes back as it was when it was last stopped in order."""
    cloudformation = boto3.client(
        "cloudformation",
        endpoint_url=ports.aws_url,
        region_name=REGION,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
    )
    try:
        return all(
            cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"].endswith(
                ("CREATE_COMPLETE", "UPDATE_COMPLETE")
            )
            for stack in (STAGE.storage_stack, STAGE.stack)
        )
    except ClientError:
        return False
