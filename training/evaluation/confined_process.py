"""The process that loads and runs an untrusted model, with few permissions.

`python -m training.evaluation.confined_process REQUEST` is started by
`training.evaluation.confined` only. It confines itself before it imports what reads the model. If
the kernel lacks a mechanism, the others hold: the limits of `resource` everywhere; no
network by a namespace of its own; no file but those that it needs, none to write but in its own
temporary folder, and no look into other processes, by Landlock (Linux 5.13); no socket at all, so
no agent or daemon that listens at a file, by seccomp.
"""

import ctypes
import json
import os
import resource
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from domain.model import ModelCard
    from serving.archive import Archive
    from serving.engines import Engine
    from serving.preprocess import Pixels

IMAGES_PER_BATCH = 16

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, SIGKILL = 1, 38, 9
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
"""The same numbers on x86-64 and arm64."""

PR_SET_SECCOMP, SECCOMP_FILTER = 22, 2
SOCKETS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""By machine: the kernel's number for it, and that of the call that makes a socket."""

IO_URING, FOREIGN_CALLS = 425, 0x40000000
"""What makes sockets too; and where the calls of another machine begin (x32)."""

LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
REFUSED, ALLOWED = 0x00050001, 0x7FFF0000
"""EPERM, and nothing."""

READ_FILE, READ_FOLDER = 0b101, 0b1101
"""Landlock's rights: to execute and read; and to list."""

FILE_BYTES = 2**20
"""Of a file that it writes: ctypes makes one to find a library."""

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/opt", "/nix/store", "/proc", "/sys",
          "/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom")  # fmt: skip
"""What Python and its libraries read beside themselves; what is absent is passed over."""


class EvaluationRequest(TypedDict):
    """Written by `training.evaluation.confined`."""

    model: str
    """A folder with the archive's files."""
    promised: str
    root: str
    paths: list[str]
    truth: list[int]
    readable: list[str]
    """Folders that hold images."""
    temporary: str
    """The one folder that it may write to."""
    memory_bytes: int
    processor_seconds: int
    processes: int


def main(arguments: Sequence[str]) -> int:
    request: EvaluationRequest = json.loads(Path(arguments[0]).read_bytes())
    missing = confine(request)
    _write_line({"missing": missing})
    from serving.archive import ModelLoadError
    from serving.decoding.undecodable import UndecodableError

    try:
        for rows in evaluate(request):
            _write_line({"rows": rows})
    except (ModelLoadError, MemoryError) as error:
        _write_line({"error": str(error) or "it takes more memory than its size explains"})
    except (UndecodableError, OSError) as error:
        _write_line({"error": f"an image cannot be read any more: {error}"})
    return 0


def evaluate(request: EvaluationRequest) -> Iterator[list[list[float]]]:
    """For each batch of images: what was predicted, its probability, and that of the truth."""
    import numpy as np

    from domain.model import ModelId
    from serving import archive, neighbours
    from training.data.prefetch import prefetch
    from training.model.prediction import to_rows

    loaded = archive.read(Path(request["model"]), ModelId.parse(request["promised"]))
    neighbours.read(loaded)  # without them it cannot serve
    engine = _engine(loaded)
    yield []  # loaded
    paths, truth, root = request["paths"], np.array(request["truth"]), Path(request["root"])
    batches = (
        [partial(_crop, root / path, loaded.card) for path in paths[at : at + IMAGES_PER_BATCH]]
        for at in range(0, len(paths), IMAGES_PER_BATCH)
    )
    for at, pixels in enumerate(prefetch(batches, os.cpu_count() or 1)):
        own = truth[at * IMAGES_PER_BATCH : (at + 1) * IMAGES_PER_BATCH]
        yield to_rows(engine(pixels, True).scores, own)[:, 1:].tolist()


def _engine(loaded: "Archive") -> "Engine":
    """The engine that serves it, on all cores."""
    from serving.engines import with_temperature

    threads, temperature = os.cpu_count() or 1, loaded.card.temperature
    if loaded.card.openvino is None:
        from serving.engines.pytorch import PyTorch

        return with_temperature(PyTorch(loaded, threads), temperature)
    from serving.engines.openvino import OpenVino  # torch's engine does not need it

    engine = OpenVino(loaded, loaded.card.openvino, threads, IMAGES_PER_BATCH)
    return with_temperature(engine, temperature)


def _crop(path: Path, card: "ModelCard") -> "Pixels":
    from domain.route import LARGEST_BYTES
    from serving import preprocess
    from serving.decoding.bounds import MAX_PIXELS
    from serving.decoding.decode import decode
    from serving.files import read_regular

    body = read_regular(path, LARGEST_BYTES)
    image = decode(body, MAX_PIXELS, preprocess.shorter_side(card.preprocessing)).image
    return preprocess.crop(image, card.preprocessing)


def _write_line(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


def confine(request: EvaluationRequest) -> list[str]:
    """Returns what this kernel does not give."""
    libc = ctypes.CDLL(None, use_errno=True)
    missing = []
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) and libc.unshare(CLONE_NEWNET):
        missing.append("a network of its own")
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL)
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_NOFILE: 1024,
        resource.RLIMIT_NPROC: request["processes"],
        resource.RLIMIT_AS: request["memory_bytes"],
        resource.RLIMIT_CPU: request["processor_seconds"],
    }
    for limit, most in limits.items():
        with suppress(ValueError):  # a lower one is set already
            resource.setrlimit(limit, (most, most))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    own = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), *filter(None, sys.path))
    readable = (*SYSTEM, *own, request["model"], *request["readable"])
    if not _allow_reading(libc, readable, request["temporary"]):
        missing.append("Landlock")
    if not _refuse_sockets(libc):
        missing.append("a filter of system calls")
    return missing


def _allow_reading(libc: ctypes.CDLL, paths: Iterable[str], temporary: str) -> bool:
    """Landlock: all other files, what changes files, TCP and other processes are refused from now.

    The kernel's Documentation/userspace-api/landlock.rst has the numbers by version of the ABI.
    """
    abi = libc.syscall(LANDLOCK_CREATE, None, 0, 1)
    if abi < 1:
        return False
    rights = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    handled = struct.pack("=QQQ", rights, 0b11, 0b11)
    handled = handled[: 8 if abi < 4 else 16 if abi < 6 else 24]
    rules = libc.syscall(LANDLOCK_CREATE, handled, len(handled), 0)
    if rules < 0:
        return False
    for path in {*paths, temporary}:
        with suppress(OSError):
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = READ_FOLDER if Path(path).is_dir() else READ_FILE
            allowed = rights if path == temporary else allowed
            rule = struct.pack("=Qi", allowed, opened)
            libc.syscall(LANDLOCK_ADD, rules, 1, rule, 0)
            os.close(opened)
    refused = libc.syscall(LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)
    return bool(refused == 0)


def _refuse_sockets(libc: ctypes.CDLL) -> bool:
    """Seccomp: a socket's file may lead to whoever serves it, whatever Landlock says of files.

    The kernel's Documentation/userspace-api/seccomp_filter.rst; the numbers after an operation are
    how many to pass over where it is true, and where it is not.
    """
    if os.uname().machine not in SOCKETS:
        return False
    machine, make_socket = SOCKETS[os.uname().machine]
    operations = (
        (LOAD, 0, 0, 4),
        (IF_EQUAL, 0, 4, machine),
        (LOAD, 0, 0, 0),
        (IF_AT_LEAST, 2, 0, FOREIGN_CALLS),
        (IF_EQUAL, 1, 0, make_socket),
        (IF_EQUAL, 0, 1, IO_URING),
        (RETURN, 0, 0, REFUSED),
        (RETURN, 0, 0, ALLOWED),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in operations))
    program = struct.pack("@HP", len(operations), ctypes.addressof(code))
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_FILTER, program, 0, 0) == 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
