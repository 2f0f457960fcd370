"""What is started through infra.local.processes ends with whoever started it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import leash, processes

ROOT = Path(__file__).parents[2]

REPORTS_AND_HANGS = """
import os, signal, socket, sys
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "parent" in sys.argv:
    import subprocess
    subprocess.Popen([sys.executable, *sys.orig_argv[1:-1]])
tie = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
tie.sendall(b"up")
print("hanging", flush=True)
signal.pause()
"""

STARTS_AND_HANGS = """
import signal, sys
from pathlib import Path
from infra.local import processes
log, *argv = sys.argv[1:]
child = processes.start([sys.executable, *argv], {}, Path(log), "test-orphan")
signal.pause()
"""


class Ties:
    """Accepts one connection a process; its end is the process's end."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(10)
        self.port = str(self._server.getsockname()[1])

    def accept(self) -> socket.socket:
        tie, _ = self._server.accept()
        tie.settimeout(10)
        assert tie.recv(2) == b"up"
        return tie

    def close(self) -> None:
        self._server.close()


def has_ended(tie: socket.socket) -> bool:
    with tie:
        try:
            return tie.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def ties() -> Iterator[Ties]:
    ties = Ties()
    yield ties
    ties.close()


def hanging(ties: Ties, *traits: str) -> list[str]:
    return ["-c", REPORTS_AND_HANGS, ties.port, *traits]


def start(argv: list[str], log: Path) -> processes.Child:
    return processes.start([sys.executable, *argv], {}, log, "test-child")


@pytest.mark.parametrize("traits", [(), ("parent",)], ids=["alone", "with a child of its own"])
def test_killing_the_parent_outright_ends_its_children(
    ties: Ties, tmp_path: Path, traits: tuple[str, ...]
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_HANGS, str(tmp_path / "log"), *hanging(ties, *traits)],
        cwd=ROOT,
    )
    held = [ties.accept() for _ in range(1 + len(traits))]
    parent.kill()
    parent.wait()
    assert all(has_ended(tie) for tie in held)


def test_a_stopped_child_gets_sigterm_and_its_status_is_reported(
    ties: Ties, tmp_path: Path
) -> None:
    child = start(hanging(ties), tmp_path / "log")
    tie = ties.accept()
    assert child.stop(grace=10) == 128 + signal.SIGTERM
    assert has_ended(tie)
    assert not child.is_alive


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(ties: Ties, tmp_path: Path) -> None:
    child = start(hanging(ties, "stubborn"), tmp_path / "log")
    tie = ties.accept()
    assert child.stop(grace=0.1) == 128 + signal.SIGKILL
    assert has_ended(tie)


def test_stopping_twice_is_stopping_once(ties: Ties, tmp_path: Path) -> None:
    child = start(hanging(ties), tmp_path / "log")
    ties.accept().close()
    assert child.stop() == child.stop()


def test_what_a_child_leaves_behind_ends_with_it(ties: Ties, tmp_path: Path) -> None:
    leaves_one = "import subprocess, sys; subprocess.Popen([sys.executable, *sys.argv[1:]])"
    child = start(["-c", leaves_one, *hanging(ties, "stubborn")], tmp_path / "log")
    assert child.exited.result(timeout=10) == 0


def test_a_child_is_found_by_name_while_it_lives(ties: Ties, tmp_path: Path) -> None:
    name = f"test-found-{os.getpid()}"
    child = processes.start([sys.executable, *hanging(ties)], {}, tmp_path / "log", name)
    ties.accept().close()
    assert {found.name for found in processes.find_running(name)} == {name}
    child.stop()
    assert processes.find_running(name) == []


def test_output_of_both_kinds_lands_in_the_log(tmp_path: Path) -> None:
    script = "import sys; print('to out', flush=True); print('to err', file=sys.stderr)"
    assert start(["-c", script], tmp_path / "log").exited.result(timeout=10) == 0
    assert (tmp_path / "log").read_text() == "to out\nto err\n"


def test_a_command_that_does_not_exist_says_so_in_the_log(tmp_path: Path) -> None:
    child = processes.start(["/no/such/program"], {}, tmp_path / "logs" / "log", "test-missing")
    assert child.exited.result(timeout=10) == leash.NOT_STARTED
    assert "cannot start" in (tmp_path / "logs" / "log").read_text()


def test_a_log_keeps_the_latest_output_within_its_bound(tmp_path: Path) -> None:
    log = leash.LogFile(tmp_path / "log")
    for number in range(5):
        log.write(bytes([number]) * (leash.LOG_BYTES // 2))
    log.write(b"last")
    log.close()
    kept = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert (tmp_path / "log").read_bytes().endswith(b"last")
    assert kept <= 2 * leash.LOG_BYTES
