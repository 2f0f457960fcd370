"""Runs the commands of one action, one after another, and writes down what became of them.

A process of its own, in its own session: it goes on when the console ends, and a Stop of the page
reaches it and its commands as Ctrl-C in a terminal does.

    python worker.py RECORD LOCK_FD
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

if not __package__:  # run as a script, from any folder
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from console.actions.record import ActionFiles, command_line
from domain import timestamps
from infra import interrupt

REPOSITORY = Path(__file__).resolve().parents[2]
LOG_BYTES = 2**20
CHUNK_BYTES = 2**16
CUT_OFF = "\n… (the rest of the output is not kept)\n".encode()
INTERRUPTED = 130
ENVIRONMENT = {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "120", "TERM": "dumb"}
"""Lines arrive as they are printed, without colours, and are no shorter than a page is wide."""


@dataclass
class Log:
    """A log of at most LOG_BYTES, whatever a command prints."""

    file: BinaryIO
    left: int = LOG_BYTES

    def write(self, chunk: bytes) -> None:
        if self.left <= 0:
            return
        self.file.write(chunk[: self.left])
        self.left -= len(chunk)
        if self.left <= 0:
            self.file.write(CUT_OFF)
        self.file.flush()


def main(record: Path, lock: int) -> None:
    """`lock` is this process's own hold on the action's lock: it ends with the process."""
    os.set_inheritable(lock, False)
    interruptions: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: interruptions.append(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    files = ActionFiles(record.parent, record.stem)
    action = files.read()
    if action is None:
        return
    with files.log.open("ab") as file:
        log, code = Log(file), 0
        for step, words in enumerate(action.commands):
            action = replace(action, step=step)
            files.write(action)
            log.write(f"$ {command_line(words)}\n".encode())
            code = _run(words, log, interruptions)
            if interruptions and step + 1 < len(action.commands):
                code = code or INTERRUPTED
            if code:
                break
    files.write(replace(action, code=code, ended_at=timestamps.to_text(datetime.now(UTC))))


def _run(words: tuple[str, ...], log: Log, interruptions: list[int]) -> int:
    """The exit code of a command, 128 + N where signal N killed it.

    As in the script `sortbox`, Ctrl-C waits until Python can answer it. One that came before there
    was a command is handed on; where it came twice, that is one signal still.
    """
    interrupt.hold()
    command = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "cli"), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | ENVIRONMENT,
    )
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if interruptions:
        command.send_signal(signal.SIGINT)
    assert command.stdout is not None
    while chunk := os.read(command.stdout.fileno(), CHUNK_BYTES):
        log.write(chunk)
    code = command.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
