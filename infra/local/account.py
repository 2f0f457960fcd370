"""The account of a local cloud: what a client needs to reach it. None of it is a secret."""

from collections.abc import Mapping

from infra.local.place import Ports
from infra.stage import Stage

STAGE = Stage("local")
REGION = "us-east-1"
ACCOUNT = "000000000000"
ACCESS_KEY = "test"
BUCKET = f"{STAGE.stack}-{ACCOUNT}-{REGION}"


def client_environment(ports: Ports) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": ports.aws_url,
        "AWS_ENDPOINT_URL_SAGEMAKER": ports.sagemaker_url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": ports.sagemaker_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "SORTBOX_BUCKET": BUCKET,
        "NO_PROXY": "127.0.0.1",
    }


def environment(ports: Ports, ours: Mapping[str, str]) -> dict[str, str]:
    """Our environment, pointed at the local cloud: a person's own profile never reaches it."""
    without_aws = {name: value for name, value in ours.items() if not name.startswith("AWS_")}
    return without_aws | client_environment(ports)


def exports(ports: Ports) -> str:
    """The same for a shell, to be sourced."""
    lines = [f"export {name}='{value}'" for name, value in client_environment(ports).items()]
    return "\n".join(["unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN", *lines, ""])
