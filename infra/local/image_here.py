"""The container's image, built and run on this machine without Docker; requires root on Debian.

`make image-here [VARIANT=serve]` builds it twice and prints its layers. The base is a Debian system
made by mmdebstrap, with Python 3.11 as in Docker's base image, so that only Debian's archive and
PyPI are needed. Base and layers are kept in .local/image (0.9 GB for `serve`).
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from domain.errors import SortboxError
from infra.shipped import REPOSITORY

FOLDER = REPOSITORY / ".local" / "image"
PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap")
"""The programs that are needed; Debian's packages have the same names."""

BASE = "localhost/sortbox-base:here"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CONTAINERFILE = f"""FROM scratch
ADD base.tar /
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
ENV SSL_CERT_FILE={CERTIFICATES}
CMD ["python3"]
"""
TARGETS = {"serve": "serving", "cpu": "training", "gpu": "training"}
LINKS = (
    'rm -f "$1"/usr/lib/python3.11/EXTERNALLY-MANAGED; '
    'for name in python python3; do ln -s /usr/bin/python3.11 "$1/usr/local/bin/$name"; done'
)


class ImageHereError(SortboxError):
    """A build or a container failed; the message ends with its last output."""


def objection() -> str | None:
    """Why no image can be built here, and what would help; None if it can be built."""
    if os.geteuid() != 0:
        return "building an image without Docker needs root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    return None


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A running container without network access; `ask` runs in its network namespace."""

    name: str
    pid: int
    workshop: "Workshop"

    def inside(self, *command: str, body: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """Run a program of this machine in the container's network namespace."""
        return subprocess.run(
            ["nsenter", "--target", str(self.pid), "--net", *command],
            input=body,
            capture_output=True,
            check=False,
        )

    def stop(self, seconds: int = 30) -> int:
        """Send SIGTERM, and SIGKILL after `seconds`; returns the exit status."""
        self.workshop.podman("stop", "--time", str(seconds), self.name)
        return self.exit_status()

    def exit_status(self) -> int:
        return int(self.workshop.podman("wait", self.name))

    def log(self) -> str:
        """Standard output and error, with a timestamp on each line."""
        return (self.workshop.folder / f"{self.name}.log").read_text()


@dataclass(frozen=True, slots=True)
class Workshop:
    """The folder where images are built and stored."""

    folder: Path = FOLDER

    def base(self) -> None:
        """Build the base image if it is missing; it takes two minutes, mostly for downloads."""
        folder = self.folder / "base"
        archive = folder / "base.tar"
        if not archive.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = folder / f"{os.getpid()}.tar"
            _run(
                *("mmdebstrap", "--quiet", "--variant=minbase"),
                "--include=ca-certificates,netbase,tzdata,python3.11,python3-pip,python3-venv",
                f"--customize-hook={LINKS}",
                *(
                    f"--dpkgopt=path-exclude=/usr/share/{name}/*"
                    for name in ("doc", "man", "locale")
                ),
                *("bookworm", str(unfinished)),
            )
            unfinished.replace(archive)
        (folder / "Containerfile").write_text(CONTAINERFILE)
        self.buildah("bud", "--isolation", "chroot", "--layers=false", "--tag", BASE, str(folder))

    def build(self, variant: str, tag: str, sources: Path = REPOSITORY) -> tuple[str, ...]:
        """Build a variant; returns its layers' digests. Dates are fixed, so the same sources and
        locks give the same layers.

        The image's own digest differs between builds, because Docker's configuration format
        contains the name of the build container.
        """
        certificates = os.environ.get("SSL_CERT_FILE", CERTIFICATES)
        self.buildah(
            *("bud", "--format", "docker", "--timestamp", "0", "--isolation", "chroot"),
            *("--network", "host", "--pull-never", "--layers=false", "--quiet"),
            *("--volume", f"{certificates}:{CERTIFICATES}:ro"),
            *("--build-arg", f"BASE={BASE}", "--build-arg", f"VARIANT={variant}"),
            *("--target", TARGETS[variant], "--tag", tag),
            *("--file", str(sources / "infra" / "container" / "Dockerfile"), str(sources)),
        )
        [image] = json.loads(self.podman("image", "inspect", tag))
        return tuple(image["RootFS"]["Layers"])

    @contextmanager
    def running(
        self, tag: str, command: str, volumes: Mapping[Path, str], environment: Mapping[str, str]
    ) -> Iterator[RunningContainer]:
        """Run a container as SageMaker does: as root, without network. The root file system is
        read-only.
        """
        name = f"sortbox-{command}-{os.getpid()}-{time.monotonic_ns()}"
        self.podman(
            *("--runtime", "runc", "run", "--detach", "--name", name, "--cgroups", "enabled"),
            *("--ulimit", "nproc=4096:4096", "--ulimit", "nofile=1024:4096"),
            *("--network", "none", "--read-only", "--read-only-tmpfs=false"),
            *("--log-driver", "k8s-file", "--log-opt", f"path={self.folder / name}.log"),
            *(word for source, target in volumes.items() for word in ("-v", f"{source}:{target}")),
            *(word for item in environment.items() for word in ("--env", "=".join(item))),
            *(tag, command),
        )
        try:
            pid = self.podman("inspect", "--format", "{{.State.Pid}}", name)
            yield RunningContainer(name, int(pid), self)
        finally:
            self.podman("rm", "--force", "--time", "0", name)
            (self.folder / f"{name}.log").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount the store. It is bind-mounted onto itself at first use, and cannot be deleted
        before.
        """
        store = self.folder / "store" / "overlay"
        if store.is_mount():
            _run("umount", str(store))

    def size(self, tag: str) -> int:
        """The image's size in bytes, uncompressed."""
        [image] = json.loads(self.podman("image", "inspect", tag))
        return int(image["Size"])

    def buildah(self, *words: str) -> str:
        return _run("buildah", *self._store(), *words)

    def podman(self, *words: str) -> str:
        return _run("podman", *self._store(), "--cgroup-manager", "cgroupfs", *words)

    def _store(self) -> Sequence[str]:
        driver = os.environ.get("SORTBOX_IMAGE_STORAGE", "overlay")
        roots = ("--root", str(self.folder / "store"), "--runroot", str(self.folder / "run"))
        return (*roots, "--storage-driver", driver)


def _run(*command: str) -> str:
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        last = "\n".join((completed.stdout + completed.stderr).splitlines()[-20:])
        raise ImageHereError(f"{' '.join(command)}: exit status {completed.returncode}\n{last}")
    return completed.stdout.strip()


def main(variant: str) -> int:
    if why := objection():
        print(why, file=sys.stderr)
        return 1
    workshop, tag = Workshop(), f"localhost/sortbox:{variant}"
    try:
        workshop.base()
        first, second = (workshop.build(variant, tag) for _ in range(2))
        size = workshop.size(tag)
    except ImageHereError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        workshop.close()
    print(f"{tag} {' '.join(second)}, {size / 1e6:,.0f} MB")
    if first != second:
        print(f"two builds of the same sources differ: {first} and {second}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
