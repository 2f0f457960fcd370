"""The account of a local cloud: its endpoint settings and the access key of its owner."""

import json
import secrets
import shlex
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from infra.local.place import VARIABLE, Place, Ports, write_private
from infra.stage import Stage

STAGE = Stage("local")
REGION = "us-east-1"
ACCOUNT = "000000000000"
BUCKET = f"{STAGE.stack}-{ACCOUNT}-{REGION}"
KEY_ID_CHARACTERS = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """The access key of the cloud's owner, who has all permissions: its functions run with this
    user's rights.

    Each cloud has its own key, which is kept until its folder is deleted.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def of(cls, place: Place) -> "AccessKey":
        """Read the key, or create it. A lock prevents that two commands create it at the
        same time.
        """
        try:
            return cls(**json.loads(place.keys.read_text()))
        except FileNotFoundError:
            key = cls(
                "AKIA" + "".join(secrets.choice(KEY_ID_CHARACTERS) for _ in range(16)),
                secrets.token_urlsafe(30),
            )
            write_private(place.keys, json.dumps(asdict(key)))
            return key


CONFIG = """\
[default]
s3 =
    signature_version = s3v4
"""
"""By default some clients sign URLs with Signature Version 2, which the local cloud rejects."""


def client_environment(place: Place, ports: Ports) -> dict[str, str]:
    key = AccessKey.of(place)
    return {
        "AWS_ENDPOINT_URL": ports.aws_url,
        "AWS_ENDPOINT_URL_SAGEMAKER": ports.sagemaker_url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": ports.sagemaker_url,
        "AWS_ENDPOINT_URL_SERVICE_QUOTAS": ports.sagemaker_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_CONFIG_FILE": str(place.aws_config),
        "SORTBOX_BUCKET": BUCKET,
        VARIABLE: str(place.root),
        "NO_PROXY": "127.0.0.1",
    }


def environment(place: Place, ports: Ports, ours: Mapping[str, str]) -> dict[str, str]:
    """`ours`, changed to use the local cloud only, so that the user's own AWS profile has no
    effect.
    """
    without_aws = {name: value for name, value in ours.items() if not name.startswith("AWS_")}
    return without_aws | client_environment(place, ports)


def exports(place: Place, ports: Ports) -> str:
    """The same variables as shell exports, to be sourced."""
    variables = client_environment(place, ports)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(["unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN", *lines, ""])
