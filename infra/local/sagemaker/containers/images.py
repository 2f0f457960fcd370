"""Container images: a JSON file with the command for each image URI."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.sagemaker.core.errors import ValidationException


@dataclass(frozen=True, slots=True)
class ContainerImage:
    argv: tuple[str, ...]
    """The command for `serve`."""
    train: tuple[str, ...]
    """The command for `train`; empty if the image has none."""
    rules: tuple[str, ...]
    """The command that evaluates Debugger rules, for which AWS has a separate image."""
    env: Mapping[str, str]
    cwd: Path | None
    """None: the container's own folder, which corresponds to /opt/ml in the image."""


@dataclass(frozen=True, slots=True)
class ContainerImages:
    """A file with the command for each image; it is read again at each use:

    `{"URI": {"argv": ["..."], "train": ["..."], "rules": ["..."], "env": {...}, "cwd": "..."}}`
    """

    file: Path

    def find(self, uri: str) -> ContainerImage:
        """The commands of an image. Raises ValidationException if it is unknown, as for an image
        missing in ECR.
        """
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
