"""What a process might do that a hostile model has taken over. The model's name says which.

`training.evaluation.confined` starts it in place of `training.evaluation.confined_process`.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from training.evaluation.confined_process import EvaluationRequest, confine

ROW = [0, 0.5, 0.5]


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


def flood() -> None:
    while True:
        say(rows=[])


def one_endless_line() -> None:
    while True:
        sys.stdout.write("x" * 65536)


def noise_in_error() -> None:
    while True:
        sys.stderr.write("\x1b[2J" * 1000)


def go_on_in_the_background() -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    time.sleep(600)


def close_and_stay() -> None:
    os.close(1)
    os.close(2)
    time.sleep(600)


def attempts(request: EvaluationRequest, port: int) -> list[str]:
    """What it could do that it should not."""
    outside = Path(request["root"]).parent / "outside"
    done = []
    tries: dict[str, Callable[[], object]] = {
        "read a file": lambda: (outside / "secret").read_bytes(),
        "list a folder": lambda: list(outside.iterdir()),
        "write a file": lambda: (outside / "new").write_bytes(b""),
        "write to the images": lambda: (Path(request["root"]) / "new").write_bytes(b""),
        "write to the model": lambda: (Path(request["model"]) / "card.json").write_bytes(b""),
        "remove a file": lambda: (outside / "secret").unlink(),
        "make a link": lambda: (outside / "link").symlink_to("/"),
        "read its parent's environment": Path(f"/proc/{os.getppid()}/environ").read_bytes,
        "signal its parent": lambda: os.kill(os.getppid(), 0),
        "write a large file": lambda: Path(request["temporary"], "a").write_bytes(bytes(2**21)),
        "take much memory": lambda: bytearray(request["memory_bytes"]),
        "connect": lambda: socket.create_connection(("127.0.0.1", port), 2),
        "ask an agent": lambda: socket.socket(socket.AF_UNIX).connect("agent"),
    }
    os.chdir(outside)  # a socket's path is short
    for name, attempt in tries.items():
        try:
            attempt()
        except (OSError, MemoryError):
            continue
        done.append(name)
    secrets = [name for name in os.environ if name.startswith(("AWS", "SORTBOX", "SECRET"))]
    return done + secrets


ACTS: dict[str, Callable[[], object]] = {
    "hang": lambda: time.sleep(600),
    "flood": flood,
    "endless": one_endless_line,
    "noise": noise_in_error,
    "close": close_and_stay,
    "background": go_on_in_the_background,
    "crash": lambda: os.kill(os.getpid(), 11),
    "exit": lambda: sys.exit("\x1b]0;owned\x07 \u202e it broke"),
    "error": lambda: say(error="\x1b[2J\x9b31m\r\nactive: pets:1"),
    "few": lambda: say(rows=[ROW]),
    "many": lambda: say(rows=[ROW] * 17),
    "nothing": lambda: None,
    "garbage": lambda: print("\x1b[2J{"),
    "deep": lambda: print("[" * 5000),
    "nan": lambda: print('{"rows": [[0, NaN, 0.5]]}'),
    "label": lambda: say(rows=[[99, 0.5, 0.5]] * 4),
    "negative": lambda: say(rows=[[-1, 0.5, 0.5]] * 4),
    "text": lambda: say(rows=[["0", 0.5, 0.5]] * 4),
    "sure": lambda: say(rows=[[0, 7, 0.5]] * 4),
    "list": lambda: say(rows={"0": ROW}),
}

if __name__ == "__main__":
    request: EvaluationRequest = json.loads(Path(sys.argv[1]).read_bytes())
    act = request["promised"].partition(":")[0]
    if act == "confined":
        listener = int((Path(request["root"]).parent / "port").read_text())
        lacking = confine(request)
        say(error=json.dumps({"done": attempts(request, listener), "lacking": lacking}))
    else:
        ACTS[act]()
