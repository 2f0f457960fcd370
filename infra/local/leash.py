"""Run one command that cannot outlive the process that started it.

python -I -S leash.py NAME LOG COMMAND...

Standard input is a pipe that the starting process holds open. When it is closed, the command's
process group gets SIGTERM and, after a grace period, SIGKILL. The kernel closes a process's pipes
however it ends, so there is no polling and no platform-specific call. The cost is one small
interpreter per command, which also limits the size of the command's log.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

ORPHAN_GRACE_SECONDS = 5.0
LOG_BYTES = 8 * 1024 * 1024
NOT_STARTED = 127


class LogFile:
    """The latest output, in at most two files of `LOG_BYTES`: PATH and the older PATH.1."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)

    def write(self, output: bytes) -> None:
        if self._file.tell() + len(output) > LOG_BYTES:
            self._file.close()
            self._path.replace(f"{self._path}.1")
            self._file = self._path.open("ab", buffering=0)
        self._file.write(output)

    def close(self) -> None:
        self._file.close()


def main(name: str, log_path: str, *command: str) -> int:
    log = LogFile(Path(log_path))
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    except OSError as error:
        log.write(f"{name} cannot start: {error}\n".encode())
        return NOT_STARTED
    signal.signal(signal.SIGTERM, lambda *_: _signal_group(child.pid, signal.SIGTERM))
    threading.Thread(target=_end_when_released, args=(child.pid,), daemon=True).start()
    copier = threading.Thread(target=_copy, args=(child.stdout, log))
    copier.start()
    status = child.wait()
    _signal_group(child.pid, signal.SIGKILL)  # processes that the command left behind
    copier.join()
    return status if status >= 0 else 128 - status


def _end_when_released(group: int) -> None:
    """Wait until the pipe is closed, then end the group. The last bytes written are the grace
    period in seconds; a holder that was killed has written none.
    """
    last_words = os.read(sys.stdin.fileno(), 32)
    _signal_group(group, signal.SIGTERM)
    time.sleep(float(last_words) if last_words else ORPHAN_GRACE_SECONDS)
    _signal_group(group, signal.SIGKILL)


def _copy(output: IO[bytes], log: LogFile) -> None:
    while chunk := os.read(output.fileno(), 65536):
        log.write(chunk)


def _signal_group(group: int, number: signal.Signals) -> None:
    # macOS reports PermissionError for a group that contains only zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
