"""The first run of a stranger: a copy of this checkout, no cache, no tools; then the demo.

`make bench-install`: seconds, and megabytes on disk of each piece. Fails if the environment takes
more than 600 MB, Node and bytecode included. Downloads some 300 MB each time.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

from infra.setup.environments import REPOSITORY

LARGEST = 600_000_000
INSTALLED = (
    *(".venv", ".local/cloud-venv", ".local/node", ".local/uv", ".local/python"),
    *("node_modules", ".local/.serverless"),
)
TOOLS = (
    *("sh", "env", "readlink", "dirname", "uname", "cat", "sed", "grep", "ls", "mkdir", "rm"),
    *("mv", "cp", "ln", "chmod", "id", "git"),
)
NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "NODE_EXTRA_CA_CERTS"),
    *("UV_DEFAULT_INDEX", "PIP_INDEX_URL", "npm_config_registry"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.install", description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the only one that is found")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        clone, environment = _machine(Path(folder), Path(arguments.python))
        status = _run("demo", clone, environment)
        _run("down", clone, environment)
        sizes = {name: _on_disk(clone / name) for name in INSTALLED}
        for name, size in sizes.items():
            print(f"{size / 1e6:7.0f} MB  {name}")
        total = sum(sizes.values())
        print(f"{total / 1e6:7.0f} MB  installed; the bound is {LARGEST / 1e6:.0f}")
        results = [clone / "build", clone / ".local" / "state"]
        print(f"{sum(map(_on_disk, results)) / 1e6:7.0f} MB  made by the demo")
        print(f"{_on_disk(Path(environment['HOME'])) / 1e6:7.0f} MB  left outside of the folder")
    return status or int(total > LARGEST)


def _machine(folder: Path, python: Path) -> tuple[Path, dict[str, str]]:
    """A copy of the checkout as git knows it, and an environment that has nothing but a Python."""
    clone, programs, home = (folder / name for name in ("sortbox", "bin", "home"))
    for path in (clone, programs, home):
        path.mkdir()
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        target = clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((REPOSITORY / name).read_bytes())
        target.chmod((REPOSITORY / name).stat().st_mode)
    for tool in TOOLS:
        measured = next((path for path in _where(tool)), None)
        if measured is not None:
            (programs / tool).symlink_to(measured)
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d %s' % (*sys.version_info[:2], sys.base_prefix))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    (programs / f"python{version[0]}").symlink_to(Path(version[1], "bin", f"python{version[0]}"))
    network = {name: os.environ[name] for name in NETWORK if name in os.environ}
    return clone, network | {"PATH": str(programs), "HOME": str(home)}


def _where(tool: str) -> list[Path]:
    folders = os.environ["PATH"].split(os.pathsep)
    return [path for folder in folders if (path := Path(folder, tool)).is_file()]


def _run(command: str, clone: Path, environment: dict[str, str]) -> int:
    """Returns its exit code; prints the time, downloads included, and the work within it."""
    began, before = time.monotonic(), getrusage(RUSAGE_CHILDREN)
    status = subprocess.run(["./sortbox", command], cwd=clone, env=environment).returncode
    after = getrusage(RUSAGE_CHILDREN)
    work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{command}: {time.monotonic() - began:.0f} s, {work:.0f} s of processor time")
    return status


def _on_disk(root: Path) -> int:
    """Bytes of blocks, links of one file counted once."""
    paths = [root, *root.rglob("*")] if root.exists() else []
    stats = {(stat.st_dev, stat.st_ino): stat for stat in (path.lstat() for path in paths)}
    return sum(stat.st_blocks * 512 for stat in stats.values())


if __name__ == "__main__":
    sys.exit(main())
