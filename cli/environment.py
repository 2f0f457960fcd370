"""The training environment, which the commands that train bring in the first time they are used."""

import importlib
import subprocess

from cli.output import say
from domain.errors import SortboxError


class InstallError(SortboxError):
    """The training environment could not be installed."""


def require_training() -> None:
    """Install PyTorch, the SageMaker SDK and what else training needs, once. Raises InstallError.

    The versions of what this process has imported already are the same in both environments.
    """
    from infra.setup import environments

    if environments.has_training():
        return
    say(f"Training needs PyTorch: {environments.TRAINING_SIZE}, once.")
    try:
        environments.install(training=True)
    except subprocess.CalledProcessError as error:
        raise InstallError(
            f"The training environment could not be installed (status {error.returncode}). "
            "What the installer said is above; run the command again to go on."
        ) from error
    importlib.invalidate_caches()
