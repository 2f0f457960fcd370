"""A whole cloud on this machine: start it, stop it, use it."""

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

from domain.errors import SortboxError
from infra.local import account, container_image, deployment, ports, supervisor
from infra.local.account import AccessKey
from infra.local.container_image import Command
from infra.local.place import REPOSITORY, VARIABLE, Place, Ports, write_private
from infra.local.processes import MARK

Say = Callable[[str], None]

STOP_SECONDS = supervisor.DRAIN_SECONDS + supervisor.SAVE_SECONDS + 5
ORPHAN_SECONDS = 15
"""What is left of a cloud whose supervisor was killed ends within a leash's grace, or two."""

BETWEEN_LOOKS_SECONDS = 0.05


_SUPERVISOR = (sys.executable, "-m", "infra.local.supervisor")


class CloudError(SortboxError):
    """A sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running local cloud with Sortbox deployed in it."""

    place: Place
    ports: Ports
    bucket: str = account.BUCKET
    stage: str = account.STAGE.name

    @property
    def key(self) -> AccessKey:
        return AccessKey.of(self.place)

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to use it."""
        return account.environment(self.place, self.ports, os.environ)

    def client(self, service: str) -> Any:
        """A boto3 client."""
        of_sagemaker = service.startswith("sagemaker")
        key = self.key
        session = boto3.Session(
            key.access_key_id, key.secret_access_key, region_name=account.REGION
        )
        endpoint = self.ports.sagemaker_url if of_sagemaker else self.ports.aws_url
        newest = Config(signature_version="s3v4") if service == "s3" else None  # of URLs too
        return session.client(  # type: ignore[call-overload]
            service, endpoint_url=endpoint, config=newest
        )


def up(
    place: Place,
    say: Say,
    images: Mapping[str, Command] | None = None,
    enforce_roles: bool = False,
) -> Cloud:
    """Start the cloud and deploy into it; quick where it stands already. Raises CloudError.

    Where it fails or is interrupted, what it started is stopped again. `images` are containers
    beside our own; with `enforce_roles` a function may do what its role says and nothing else.
    """
    try:
        place.close_to_others()
    except PermissionError as error:
        raise CloudError(f"{place.root} cannot be closed to other users: {error}") from error
    with place.turn():
        container_image.write_commands(place, images or {})
        running = _running(place, say)
        if running is not None:
            return _deployed(place, running)
        started = _start(place, say, enforce_roles)
        try:
            return _deployed(place, started)
        except BaseException:
            _stop(place, say)
            raise


def down(place: Place, say: Say) -> None:
    """Stop the cloud, its state saved. Raises CloudError if anything of it is left."""
    with place.turn():
        if place.holder() is None and not _processes(place):
            say("The local cloud is not running.")
            return
        _stop(place, say)
        say("The local cloud is down; its objects, models and endpoints are kept.")


@contextmanager
def local_cloud(
    root: Path, images: Mapping[str, Command] | None = None, enforce_roles: bool = False
) -> Iterator[Cloud]:
    """A cloud of one's own below `root`, beside any other; down again at the end."""
    place = Place(root.resolve())
    cloud = up(place, print, images, enforce_roles)
    try:
        yield cloud
    finally:
        down(place, print)


def _deployed(place: Place, running: Ports) -> Cloud:
    try:
        deployment.deploy(place, running)
    except deployment.NotDeployed as error:
        raise CloudError(str(error)) from error
    write_private(place.environment_file, account.exports(place, running))
    return Cloud(place, running)


def _running(place: Place, say: Say) -> Ports | None:
    """The ports of a cloud that answers; one that does not, or half of one, is cleared away."""
    held, found = place.holder() is not None, Ports.read(place.ports)
    if held and found is not None and supervisor.is_ready(found):
        return found
    if held or _processes(place):
        say("A half-started or crashed cloud is here; clearing it away.")
        _stop(place, say)
    return None


def _start(place: Place, say: Say, enforce_roles: bool) -> Ports:
    chosen = ports.choose(place, say)
    AccessKey.of(place)
    write_private(place.aws_config, account.CONFIG)
    place.logs.mkdir(mode=0o700, exist_ok=True)
    said = place.logs / "supervisor.log"
    said.touch(0o600)
    with said.open("ab") as log:
        process = subprocess.Popen(
            [*_SUPERVISOR, str(place.root), *([supervisor.ENFORCE_ROLES] if enforce_roles else [])],
            cwd=REPOSITORY,
            env={**os.environ, VARIABLE: str(place.root), MARK: "supervisor"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us, and we stop it in order
            umask=0o077,  # of all that the cloud writes, its functions and containers too
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
        if not _within(STOP_SECONDS, lambda: place.holder() is None):
            say(f"Process {holder} does not end when asked; killing it.")
            with suppress(ProcessLookupError):
                os.kill(holder, signal.SIGKILL)
    if _within(ORPHAN_SECONDS, lambda: not _processes(place)):
        return
    for process in _processes(place):
        say(f"Killing process {process.pid}, which was left behind.")
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if not _within(ORPHAN_SECONDS, lambda: not _processes(place)):
        raise CloudError(f"Processes are left: {_processes(place)}")


def _within(seconds: float, done: Callable[[], bool]) -> bool:
    """Whether it was done in time. These are not our children: the kernel does not tell us."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(BETWEEN_LOOKS_SECONDS)
    return True


def _processes(place: Place) -> list[psutil.Process]:
    """Every live process of this cloud, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            environ = process.environ()
            if MARK in environ and environ.get(VARIABLE) == str(place.root):
                found.append(process)
    return found
