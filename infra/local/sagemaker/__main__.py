"""python -m infra.local.sagemaker --port N --state DIR --images FILE"""

import argparse
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from infra.local import accounts
from infra.local.access.guard import Guard
from infra.local.access.keys import Keys
from infra.local.access.permissions import Permissions
from infra.local.accounts import Account
from infra.local.sagemaker.app import application
from infra.local.sagemaker.hosting.runtime import BODY_BYTES
from infra.local.sagemaker.service import SageMakerSettings

KEEPALIVE_SECONDS = 65
DRAIN_SECONDS = 5
SIGNED_SERVICES = frozenset({"sagemaker", "servicequotas"})
UNVERIFIED_BYTES = 32 * 1024 * 1024
"""More than either limit of the application, which rejects larger bodies with AWS's messages."""


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    region = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    keys = Keys(
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        os.environ["AWS_ENDPOINT_URL"],
        region,
    )
    settings = SageMakerSettings(
        state=arguments.state.resolve(),
        images=arguments.images.resolve(),
        region=region,
        account=Account.named(arguments.account, arguments.accounts),
        permissions=Permissions(keys.ask) if arguments.enforce_roles else None,
        ready_seconds=arguments.ready_seconds,
        bake_seconds=arguments.bake_seconds,
        serverless_idle_seconds=arguments.serverless_idle_seconds,
        invocation_seconds=arguments.invocation_seconds,
        body_bytes=arguments.body_bytes,
    )
    config = uvicorn.Config(
        Guard(application(settings), arguments.port, keys.find, UNVERIFIED_BYTES, SIGNED_SERVICES),
        host="127.0.0.1",
        port=arguments.port,
        http="h11",  # passes the request target on as it was sent, and rejects two Host headers
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEPALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    with _exclusive(settings.state), config.bind_socket() as listening:
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _exclusive(state: Path) -> Iterator[None]:
    """Lock the state folder: two servers on one state would delete each other's running
    resources.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another local SageMaker is running over {state}") from None
        yield


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sortbox-sagemaker", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="records, models and logs")
    parser.add_argument("--images", type=Path, required=True, help="JSON: image URI to command")
    parser.add_argument("--account", default=accounts.ESTABLISHED, help="its kind")
    parser.add_argument("--accounts", type=Path, default=accounts.FILE, help="describes the kinds")
    parser.add_argument("--enforce-roles", action="store_true", help="by the emulator's IAM")
    parser.add_argument("--ready-seconds", type=float, default=120, help="until /ping answers 200")
    parser.add_argument("--bake-seconds", type=float, default=1, help="at most, of an update")
    idle = "until the container of a serverless endpoint stops"
    parser.add_argument("--serverless-idle-seconds", type=float, default=60, help=idle)
    parser.add_argument("--invocation-seconds", type=float, default=60, help="for one answer")
    parser.add_argument("--body-bytes", type=int, default=BODY_BYTES, help="of an invocation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
