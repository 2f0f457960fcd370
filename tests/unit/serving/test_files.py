"""Files that are read without waiting for what is no file, and with patience for what is one."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serving.files import read_regular

HOLD = """
import fcntl, signal, sys, time
def give_back(*_):
    time.sleep(0.5)
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
signal.signal(signal.SIGIO, give_back)
file = open(sys.argv[1], "r+b")
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
signal.pause()
"""


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="leases are Linux's")
def test_a_file_under_a_lease_is_waited_for(tmp_path: Path) -> None:
    """File servers hold leases: opened without waiting, a good image would count as unreadable."""
    path = tmp_path / "image.jpg"
    path.write_bytes(b"bytes")
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(BlockingIOError):  # else this shows nothing
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
            assert read_regular(path, 100) == b"bytes"
        finally:
            holder.send_signal(signal.SIGKILL)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="named pipe"):
        read_regular(tmp_path / "pipe", 100)
