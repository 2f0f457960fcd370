"""The container image on this machine: a command, with a digest of the sources that it runs."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from infra.local.account import ACCOUNT, REGION
from infra.local.place import REPOSITORY, VARIABLE, Place, write_private
from infra.shipped import CONTAINER

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


class ImageCommand(TypedDict):
    """The command that replaces an image: see infra/local/sagemaker/containers/images.py."""

    argv: list[str]
    train: NotRequired[list[str]]
    rules: NotRequired[list[str]]
    cwd: NotRequired[str]
    env: dict[str, str]


def uri() -> str:
    return f"{REGISTRY}/sortbox@{digest()}"


def digest() -> str:
    """A digest of everything that can change a result: the server's sources and their pinned
    packages.

    It excludes the training sources, although the image on AWS contains them: a change to them
    would require a new endpoint, and local training uses the current sources anyway.
    """
    sources = [*_python("serving"), *_python("domain"), REPOSITORY / "requirements.txt"]
    content = hashlib.sha256()
    for source in sources:
        name = source.relative_to(REPOSITORY).as_posix()
        content.update(f"{name} {hashlib.sha256(source.read_bytes()).hexdigest()}\n".encode())
    return f"sha256:{content.hexdigest()}"


def _python(room: str) -> Iterable[Path]:
    return sorted((REPOSITORY / room).rglob("*.py"))


def image_command() -> ImageCommand:
    """The image's `serve` and `train` commands, with its search paths, in the container's folder.

    The commands need setpriv, which macOS lacks: there Python is started directly.
    """
    python, scripts = Path(sys.executable), REPOSITORY / CONTAINER
    serve, train = [str(scripts / "serve")], [str(scripts / "train")]
    if shutil.which("setpriv") is None or not python.with_name("python").exists():
        serve, train = [str(python), "-m", "serving"], [str(python), "-m", "training.train"]
    return {
        "argv": serve,
        "train": train,
        "rules": [str(python), "-m", "training.managed_debugger.rule_job"],
        "env": {
            "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(REPOSITORY),
            "SORTBOX_CONTAINER": digest(),
            # The simulated instance type does not say whether this machine has a GPU.
            "SORTBOX_GPU": "optional",
        },
    }


def is_known(place: Place, image: str) -> bool:
    """Whether the cloud can run `image`; so it is for ours, until an update changes the sources."""
    try:
        return image in json.loads(place.images.read_text())
    except FileNotFoundError:
        return False


def write_commands(place: Place, others: Mapping[str, ImageCommand]) -> None:
    """Write images.json with Sortbox's image and `others`; each command includes the name of the
    place.
    """
    ours = image_command()
    commands = {
        image: {**command, "env": {**command["env"], VARIABLE: str(place.root)}}
        for image, command in {uri(): ours, **others}.items()
    }
    write_private(place.images, json.dumps(commands, indent=1))
