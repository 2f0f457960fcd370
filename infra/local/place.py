"""The folder of a local cloud. Clouds in different folders are independent.

Other users of the machine cannot read it: it contains keys, images and results.
"""

import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).parents[2]
VARIABLE = "SORTBOX_LOCAL"
"""The variable with the folder, in the environment of every process of the cloud, to find
them all."""

LOCK_TRIES, LOCK_WAIT_SECONDS = 20, 0.02

EMULATOR_PYTHON = REPOSITORY / ".local" / "cloud-venv" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one cloud: its objects, its state, its logs."""

    root: Path

    @classmethod
    def named(cls, environ: Mapping[str, str]) -> "Place":
        return cls(Path(environ.get(VARIABLE) or REPOSITORY / ".local").resolve())

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def log_folders(self) -> tuple[Path, Path]:
        """Of the cloud's processes, and of the containers."""
        return self.logs, self.state / "sagemaker" / "logs"

    @property
    def environment_file(self) -> Path:
        """Shell exports, for `source`."""
        return self.root / "env"

    @property
    def images(self) -> Path:
        """The JSON file with the command for each container image."""
        return self.state / "images.json"

    @property
    def ports(self) -> Path:
        return self.state / "ports.json"

    @property
    def deployed(self) -> Path:
        """The fingerprint of the latest deployment."""
        return self.state / "deployed"

    @property
    def account(self) -> Path:
        """The kind of account that the cloud was started with."""
        return self.state / "account"

    @property
    def aws_config(self) -> Path:
        """Settings that AWS clients read from a file only."""
        return self.state / "aws-config"

    @property
    def keys(self) -> Path:
        """The access key of this cloud's owner."""
        return self.state / "keys.json"

    @property
    def console(self) -> Path:
        """The console beside the cloud: its process, and the address that lets a browser in."""
        return self.state / "console.json"

    def close_to_others(self) -> None:
        """Remove other users' permissions from the folder and every file in it, including old ones.

        Below shared folders beside the cloud, such as environments, modes are not changed. Takes
        some seconds for a million objects. Raises PermissionError if another user owns the folder.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        self.state.mkdir(exist_ok=True)
        ours = (self.state, self.logs, self.environment_file)
        _close_to_others(self.root, frozenset(path.name for path in ours))

    def folder(self, *names: str) -> Path:
        """A folder of the state; it is created if it is missing."""
        folder = self.state.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def holder(self) -> int | None:
        """The id of the process that holds the cloud up; None if the cloud is down, however it
        ended.
        """
        try:
            with self._supervisor_lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return int(self._supervisor_lock.read_text())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Mark the cloud as held up by this process, with a lock that the kernel releases when it
        ends.

        Raises BlockingIOError if another process holds it for longer than a `holder` that looks.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        with self._supervisor_lock.open("a+") as lock:
            _lock_patiently(lock)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A lock, so that one command at a time starts or stops this cloud; the others wait."""
        self.state.mkdir(parents=True, exist_ok=True)
        at = self.state / "turn.lock"
        at.touch(0o600)
        with at.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @property
    def _supervisor_lock(self) -> Path:
        return self.state / "supervisor.lock"


def _lock_patiently(lock: IO[str]) -> None:
    for _ in range(LOCK_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(LOCK_WAIT_SECONDS)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True, slots=True)
class Ports:
    """The cloud's ports on 127.0.0.1."""

    aws: int
    sagemaker: int

    @classmethod
    def read(cls, file: Path) -> "Ports | None":
        try:
            return cls(**json.loads(file.read_text()))
        except FileNotFoundError:
            return None

    def write(self, file: Path) -> None:
        write_private(file, json.dumps({"aws": self.aws, "sagemaker": self.sagemaker}))

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws}"

    @property
    def sagemaker_url(self) -> str:
        return f"http://127.0.0.1:{self.sagemaker}"


def write_private(file: Path, text: str) -> None:
    """Write a file atomically, readable by this user only from the beginning."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as private:
        private.write(text)
    part.replace(file)


def _close_to_others(folder: Path | str, names: frozenset[str] = frozenset()) -> None:
    """Remove other users' permissions from the folder's entries, or from `names` only. Symbolic
    links are not followed.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() or (names and entry.name not in names):
                continue
            with suppress(FileNotFoundError):  # files of a running cloud come and go
                mode = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
                if mode & 0o077:
                    Path(entry.path).chmod(mode & ~0o077)
                if entry.is_dir(follow_symlinks=False):
                    _close_to_others(entry.path)


def choose_ports(place: Place, say: Callable[[str], None]) -> Ports:
    """Choose free ports and store them. If one is taken later, the server that binds it fails."""
    before = Ports.read(place.ports)
    chosen = Ports(
        _port("AWS", before.aws if before else None, say),
        _port("SageMaker", before.sagemaker if before else None, say),
    )
    chosen.write(place.ports)
    return chosen


def _port(what: str, before: int | None, say: Callable[[str], None]) -> int:
    if before is not None and _is_free(before):
        return before
    chosen = _any_free()
    if before is not None:
        say(f"Port {before} is taken by another program; {what} answers on {chosen} from now on.")
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
