"""The training environment, which the commands that train bring in the first time they are used."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

from cli.output import say


def require_training() -> None:
    """Install PyTorch, the SageMaker SDK and what else training needs, once. Raises InstallError.

    The versions of what this process has imported already are the same in both environments. Where
    `.venv` is on a Python that is too new for training, the local cloud, which runs on it, goes
    down for that long, and the command begins again on the other Python.
    """
    from infra.setup import environments

    if environments.has_training():
        return
    from infra import interrupt
    from infra.local import cloud
    from infra.local.place import Place

    say("Training needs PyTorch, which is installed once.")
    place = Place.named(os.environ)
    was_up = place.holder() is not None

    def stop_local_cloud() -> None:
        if was_up:
            cloud.down(place, say)

    if environments.install(training=True, before_replacing=stop_local_cloud):
        python = str(environments.SORTBOX / "bin" / "python")
        if was_up:
            subprocess.run([python, str(Path(__file__).parent), "up"], check=False)
        interrupt.hold()
        os.execv(python, [python, *sys.orig_argv[1:]])
    importlib.invalidate_caches()
