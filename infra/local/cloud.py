"""Start, stop and use a whole cloud on this machine."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import ClientError

from domain.errors import SortboxError
from infra.local import account, accounts, container_image, leash, supervisor
from infra.local.access.keys import Keys
from infra.local.account import REGION, STAGE, AccessKey, environment
from infra.local.container_image import ImageCommand
from infra.local.persistence import SAVE_PATH, disk
from infra.local.place import REPOSITORY, VARIABLE, Place, Ports, choose_ports, write_private
from infra.local.processes import MARK
from infra.stacks import bundle

Say = Callable[[str], None]

STOP_SECONDS = supervisor.DRAIN_SECONDS + supervisor.SAVE_SECONDS + 5
LEASH_SECONDS = 1
"""How long to wait for what the leashes end by themselves, before everything is asked to end."""

ORPHAN_SECONDS = 15
"""How long to wait for the rest of a cloud whose supervisor was killed: its leashes end it within
one or two grace periods."""

POLL_SECONDS = 0.05


_SUPERVISOR = (sys.executable, "-m", "infra.local.supervisor")


class CloudError(SortboxError):
    """The local cloud cannot be started, stopped or used; the message is for the user."""


@dataclass(frozen=True, slots=True)
class LocalCloud:
    """A running local cloud with Sortbox deployed in it."""

    place: Place
    ports: Ports
    bucket: str = account.BUCKET
    stage: str = account.STAGE.name

    @property
    def key(self) -> AccessKey:
        return AccessKey.of(self.place)

    @property
    def kind(self) -> str:
        """The kind of account, one of accounts.json."""
        return _kind(self.place)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables for a process that uses this cloud."""
        return account.environment(self.place, self.ports, os.environ)

    def client(self, service: str) -> Any:
        """A boto3 client."""
        of_sagemaker = service.startswith("sagemaker") or service == "service-quotas"
        key = self.key
        session = boto3.Session(
            key.access_key_id, key.secret_access_key, region_name=account.REGION
        )
        endpoint = self.ports.sagemaker_url if of_sagemaker else self.ports.aws_url
        newest = Config(signature_version="s3v4") if service == "s3" else None  # for URLs too
        return session.client(  # type: ignore[call-overload]
            service, endpoint_url=endpoint, config=newest
        )


def up(
    place: Place,
    say: Say,
    images: Mapping[str, ImageCommand] | None = None,
    kind: str | None = None,
    is_empty: bool = False,
) -> LocalCloud:
    """Start the cloud and deploy into it; quick if it runs already. Raises CloudError.

    After an error or an interrupt, the processes that it started are stopped. `images` are
    container images in addition to Sortbox's own. `kind` is one of accounts.json; None: that of
    the running cloud, else `established`. With `is_empty` nothing is deployed.
    """
    deploy_into = LocalCloud if is_empty else _deploy_into
    try:
        place.close_to_others()
    except PermissionError as error:
        raise CloudError(f"{place.root} cannot be closed to other users: {error}") from error
    with place.turn():
        container_image.write_commands(place, images or {})
        running = _running(place, say)
        if running is not None:
            _refuse_another(place, kind)
            return deploy_into(place, running)
        _check_disk(place)
        write_private(place.account, kind or accounts.ESTABLISHED)
        started = _start(place, say)
        try:
            return deploy_into(place, started)
        except BaseException:
            _stop(place, say)
            raise


def down(place: Place, say: Say) -> None:
    """Save the state and stop the cloud. Raises CloudError if any of its processes remains."""
    with place.turn():
        if place.holder() is None and not _processes(place):
            say("The local cloud is not running.")
            return
        _stop(place, say)
        say("The local cloud is down; its objects, models and endpoints are kept.")


@contextmanager
def local_cloud(
    root: Path,
    images: Mapping[str, ImageCommand] | None = None,
    kind: str | None = None,
) -> Iterator[LocalCloud]:
    """A separate cloud below `root`, independent of others; it is stopped at the end of the
    context.
    """
    place = Place(root.resolve())
    cloud = up(place, print, images, kind)
    try:
        yield cloud
    finally:
        down(place, print)


def _check_disk(place: Place) -> None:
    free = disk.free_bytes(place.root)
    if free < disk.START_BYTES:
        raise CloudError(
            f"{free // 10**6:,} MB are free at {place.root}, and the local cloud needs "
            f"{disk.START_BYTES // 10**6} MB to start. Free some space, or name a folder on "
            f"another disk in {VARIABLE}."
        )


def _refuse_another(place: Place, kind: str | None) -> None:
    runs = _kind(place)
    if kind not in (None, runs):
        raise CloudError(
            f"The local cloud is up, as an account of the kind {runs}: `./sortbox down` first, "
            f"then `./sortbox up --account {kind}`."
        )


def _kind(place: Place) -> str:
    return place.account.read_text() if place.account.exists() else accounts.ESTABLISHED


def _deploy_into(place: Place, running: Ports) -> LocalCloud:
    _deploy(place, running)
    write_private(place.environment_file, account.exports(place, running))
    return LocalCloud(place, running)


def _running(place: Place, say: Say) -> Ports | None:
    """The ports of a running cloud. None if there is none; one that does not respond is stopped."""
    held, ports = place.holder() is not None, Ports.read(place.ports)
    if held and ports is not None and supervisor.is_ready(ports) and _is_whole(place):
        return ports
    if held or _processes(place):
        say("A half-started or crashed cloud is here; clearing it away.")
        _stop(place, say)
    return None


def _is_whole(place: Place) -> bool:
    """Whether both servers are still on their leashes. If a leash was killed, its server answers
    for a moment longer, but the supervisor is stopping the cloud.
    """
    commands = [command for process in _processes(place) if (command := _command(process))]
    servers = {
        command[command.index(leash.__file__) + 1]
        for command in commands
        if leash.__file__ in command
    }
    return servers.issuperset(supervisor.SERVERS)


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        command: list[str] = process.cmdline()
        return command
    return []


def _start(place: Place, say: Say) -> Ports:
    chosen = choose_ports(place, say)
    AccessKey.of(place)
    write_private(place.aws_config, account.CONFIG)
    place.logs.mkdir(mode=0o700, exist_ok=True)
    log_path = place.logs / "supervisor.log"
    log_path.touch(0o600)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*_SUPERVISOR, str(place.root), _kind(place)],
            cwd=REPOSITORY,
            env={**os.environ, VARIABLE: str(place.root), MARK: "supervisor"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches this process only, which stops the supervisor
            umask=0o077,  # for all files of the cloud, including those of functions
            text=True,
        )
    with process:
        try:
            assert process.stdout is not None
            _, outcome = process.stdout.readline(), process.stdout.readline().strip()
            if outcome != "ready":
                raise CloudError(f"The local cloud did not start: {outcome or f'see {log.name}'}")
        except BaseException:
            _stop(place, say)
            raise
    return chosen


def _stop(place: Place, say: Say) -> None:
    holder = place.holder()
    if holder is not None:
        with suppress(ProcessLookupError):
            os.kill(holder, signal.SIGTERM)
        if not _wait_until(STOP_SECONDS, lambda: place.holder() is None):
            say(f"Process {holder} does not end when asked; killing it.")
            with suppress(ProcessLookupError):
                os.kill(holder, signal.SIGKILL)
    if _wait_until(LEASH_SECONDS, lambda: not _processes(place)):
        return
    for process in _processes(place):  # without a leash or a supervisor: nobody has asked them
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    if _wait_until(ORPHAN_SECONDS, lambda: not _processes(place)):
        return
    for process in _processes(place):
        say(f"Killing process {process.pid}, which was left behind.")
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if not _wait_until(ORPHAN_SECONDS, lambda: not _processes(place)):
        raise CloudError(f"Processes are left: {_processes(place)}")


def _wait_until(seconds: float, condition: Callable[[], bool]) -> bool:
    """Poll until `condition()` is True; returns False after `seconds`. The processes are no
    children of this one, so it cannot wait for them.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _processes(place: Place) -> list[psutil.Process]:
    """Every live process of this cloud, even if its parent has ended."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            environ = process.environ()
            if MARK in environ and environ.get(VARIABLE) == str(place.root):
                processes.append(process)
    return processes


def _deploy(place: Place, ports: Ports) -> None:
    bundle.build(bundle.BUNDLE)
    now, key = _fingerprint(), AccessKey.of(place)
    if place.deployed.is_file() and place.deployed.read_text() == now and _stacks_stand(ports, key):
        return
    place.deployed.unlink(missing_ok=True)
    command = [sys.executable, "-m", "infra.stacks.deploy", STAGE.name]
    # osls polls every 5 s by default, but deploying a stack takes less than 1 s here.
    quickly = environment(place, ports, os.environ) | {"SLS_AWS_MONITORING_FREQUENCY": "200"}
    status = subprocess.run(command, cwd=REPOSITORY, env=quickly, check=False).returncode
    if status != 0:
        raise CloudError(f"deploying into the local cloud ended with {status}, so it is stopped")
    # Before the file that says so: what is written there is never older than what is deployed.
    Keys(key.access_key_id, key.secret_access_key, ports.aws_url, REGION).ask(SAVE_PATH, b"")
    write_private(place.deployed, now)


def _fingerprint() -> str:
    """A digest of everything that a deployment depends on."""
    sources = [bundle.BUNDLE, REPOSITORY / "serverless.yml", REPOSITORY / "package-lock.json"]
    sources += sorted((REPOSITORY / "infra" / "stacks").glob("*.yml"))
    content = hashlib.sha256()
    for source in sources:
        content.update(hashlib.sha256(source.read_bytes()).digest())
    return content.hexdigest()


def _stacks_stand(ports: Ports, key: AccessKey) -> bool:
    """Whether the stacks exist. A cloud that was killed restores the state of its last regular
    stop.
    """
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
