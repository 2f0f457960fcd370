"""Container images: a JSON file says which command stands for each image's URI."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.sagemaker.core.errors import ValidationException


@dataclass(frozen=True, slots=True)
class ContainerImage:
    argv: tuple[str, ...]
    """What stands for `serve`."""
    train: tuple[str, ...]
    """What stands for `train`; empty where the image has none."""
    rules: tuple[str, ...]
    """What evaluates debugger rules, where AWS has an image of its own for it."""
    env: Mapping[str, str]
    cwd: Path | None
    """None: the container's own folder, which is /opt/ml in the image too."""


@dataclass(frozen=True, slots=True)
class ContainerImages:
    """A file, read anew each time, that says what stands for an image:

    `{"URI": {"argv": ["..."], "train": ["..."], "rules": ["..."], "env": {...}, "cwd": "..."}}`
    """

    file: Path

    def find(self, uri: str) -> ContainerImage:
        """Raises ValidationException for an image that is not there, as for one missing in ECR."""
        try:
            images = json.loads(self.file.read_text())
            if uri not in images:
                raise ValidationException(f"Requested image {uri} not found.")
            image = images[uri]
            cwd = Path(image["cwd"]) if "cwd" in image else None
            train, rules = tuple(image.get("train", ())), tuple(image.get("rules", ()))
            return ContainerImage(
                tuple(image["argv"]), train, rules, dict(image.get("env", {})), cwd
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValidationException(f"{self.file} does not describe images: {error!r}") from error
