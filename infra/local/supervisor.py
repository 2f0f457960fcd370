"""The process that runs a local cloud after `up` has returned.

`python -m infra.local.supervisor ROOT ACCOUNT`

It prints its process id and then `ready`, or the reason for a failure, to standard output. On
SIGTERM, or when a part of the cloud ends by itself, it stops all parts. It restarts nothing; `up`
does that. However it ends itself, its children's leashes end them.
"""

import logging
import os
import signal
import sys
import time
from http import HTTPStatus
from pathlib import Path
from threading import Event
from urllib.error import HTTPError
from urllib.request import urlopen

from infra.local import processes
from infra.local.account import REGION, AccessKey, environment
from infra.local.accounts import Account
from infra.local.persistence import torn_writes
from infra.local.place import EMULATOR_PYTHON, REPOSITORY, VARIABLE, Place, Ports
from infra.local.processes import Child

logger = logging.getLogger("supervisor")

SERVERS = ("sortbox-aws", "sortbox-sagemaker")
"""The names of both servers on the command lines of their leashes."""

READY = "ready"
READY_SECONDS = 60
POLL_SECONDS = 0.05
SAVE_SECONDS = 20
"""The emulator saves its state only when it is asked to end, which takes time."""

DRAIN_SECONDS = 40
"""SageMaker gives its containers 30 seconds to end."""


def main(root: str, account: str) -> None:
    if os.fork() > 0:  # detach from the caller, which does not wait for this process
        os._exit(0)
    place = Place(Path(root))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")  # standard error
    over = Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    with place.held():
        print(os.getpid(), flush=True)
        hold(place, over, Account.named(account))


def hold(place: Place, over: Event, account: Account) -> None:
    """Start the cloud, and stop it when `over` is set or a part of it ends."""
    ports = Ports.read(place.ports)
    assert ports is not None, "up chooses them before it starts a supervisor"
    logger.info("starting: AWS on %s, SageMaker on %s", ports.aws_url, ports.sagemaker_url)
    children = [emulator(place, ports, account)]
    outcome = _until_ready(ports.aws_url, over, children)
    if outcome == READY:
        # Behind the emulator: what SageMaker goes on with at its start, it asks it for permission.
        children.append(sagemaker(place, ports, account))
        outcome = _until_ready(ports.sagemaker_url, over, children)
    for child in children:
        child.exited.add_done_callback(lambda _: over.set())
    _report(outcome)
    over.wait()
    for child in children:
        if not child.is_alive:
            logger.info("%s ended with status %d by itself", child.name, child.exited.result())
    logger.info("stopping")
    graces = (SAVE_SECONDS, DRAIN_SECONDS)[: len(children)]
    for child, grace in reversed(list(zip(children, graces, strict=True))):
        logger.info("%s ended with status %d", child.name, child.stop(grace))


def emulator(place: Place, ports: Ports, account: Account) -> Child:
    torn_writes.undo(place.folder("s3"))
    key = AccessKey.of(place)
    settings = {
        VARIABLE: str(place.root),
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(place.folder("home")),
        "TMPDIR": str(place.folder("tmp")),
        "GATEWAY_PORT": str(ports.aws),
        "BIND_HOST": "127.0.0.1",
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        "STATE_DIR": str(place.folder("aws")),
        "S3_DATA_DIR": str(place.folder("s3")),
        # Otherwise ministack would look for containers there, and listen on two more ports.
        "DOCKER_HOST": "unix:///nonexistent",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_EC2_METADATA_DISABLED": "true",
        # The functions inherit this environment, by which they find the local SageMaker.
        "AWS_ENDPOINT_URL_SAGEMAKER": ports.sagemaker_url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": ports.sagemaker_url,
        "AUTH": "true",  # functions have the permissions of their roles, and no others
    }
    if account.functions is not None:
        settings["LAMBDA_ACCOUNT_CONCURRENCY"] = str(account.functions)
    argv = [str(EMULATOR_PYTHON), str(REPOSITORY / "infra" / "local" / "emulator.py")]
    return processes.start(argv, settings, place.logs / "aws.log", "aws")


def sagemaker(place: Place, ports: Ports, account: Account) -> Child:
    inherited = environment(place, ports, os.environ)
    ours = {VARIABLE: str(place.root), "TMPDIR": str(place.folder("tmp"))}
    argv = [sys.executable, "-m", "infra.local.sagemaker", "--port", str(ports.sagemaker)]
    argv += ["--state", str(place.folder("sagemaker")), "--images", str(place.images)]
    argv += ["--account", account.kind, "--enforce-roles"]
    log = place.logs / "sagemaker.log"
    return processes.start(argv, inherited | ours, log, "sagemaker", REPOSITORY)


def _until_ready(url: str, over: Event, children: list[Child]) -> str:
    """READY once the server at `url` is up, or a sentence about the part that is not."""
    deadline = time.monotonic() + READY_SECONDS
    while not _refuses(url):
        ended = [child for child in children if not child.is_alive]
        if ended:
            over.set()
            return f"{ended[0].name} ended at once; its last words are in {ended[0].log}"
        if over.wait(POLL_SECONDS):
            return "it was stopped while it started"
        if time.monotonic() > deadline:
            over.set()
            return f"it did not come up in {READY_SECONDS} s; see the logs beside {children[0].log}"
    return READY


def is_ready(ports: Ports) -> bool:
    return _refuses(ports.aws_url) and _refuses(ports.sagemaker_url)


def _refuses(url: str) -> bool:
    """Whether the server is up: it rejects an unsigned request."""
    try:
        urlopen(url, timeout=2).close()
    except HTTPError as refusal:
        refusal.close()
        return refusal.code == HTTPStatus.FORBIDDEN
    except OSError:
        return False
    return False


def _report(outcome: str) -> None:
    """Report the outcome to the caller; afterwards only the log is written."""
    logger.info("%s", outcome)
    print(outcome, flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main(*sys.argv[1:])
