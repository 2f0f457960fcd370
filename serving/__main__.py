"""`python -m serving`: load and warm up the model, serve HTTP, and drain on SIGTERM.

Expected errors are printed as a sentence, and the process exits with status 1.
"""

import os
import signal

# Until uvicorn installs its handlers there is nothing to drain. Exit immediately: SystemExit while
# OpenVINO compiles on its own threads has ended the process with SIGABRT.
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: os._exit(0))

# Each worker multiplies the matrix of neighbours on its own core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# ruff: noqa: E402
import logging
import socket
import sys
import time
import warnings
from types import FrameType

import uvicorn

from domain.errors import SortboxError
from serving import archive, engines, hardware, neighbours
from serving.app import create_app
from serving.archive import ModelLoadError
from serving.classifier import Classifier
from serving.hardware import UnusableGpuError
from serving.protocol import BoundedProtocol
from serving.settings import SettingError, Settings
from serving.temporary import temporary_folder

KEEP_ALIVE_SECONDS = 90
"""Longer than clients keep idle connections, so that none writes to a closed one."""

DRAIN_SECONDS = 25
"""The time for draining; SageMaker kills the container 30 s after SIGTERM."""

MAX_CONNECTIONS = 2_048
"""The most open connections, including idle ones; further ones are answered 503."""

logger = logging.getLogger("serving")


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    # Pillow's warnings about unusual files would fill the log.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        settings = Settings.from_env(os.environ, hardware.available_processors())
        with temporary_folder():
            serve(settings)
    except (SettingError, ModelLoadError, AddressError, UnusableGpuError) as error:
        print(f"serving: {error}", file=sys.stderr)
        return 1
    return 0


class AddressError(SortboxError, OSError):
    """The server cannot listen on the configured address."""


def serve(settings: Settings) -> None:
    """Load the model, warm it up, and then listen, so that /ping is not answered before that.

    Raises AddressError, ModelLoadError, UnusableGpuError.
    """
    started = time.perf_counter()
    listener = _bind(settings.host, settings.port)
    classifier = load_classifier(settings)
    config = uvicorn.Config(
        create_app(classifier, settings),
        http=BoundedProtocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
        access_log=False,
        log_config=None,
        server_header=False,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    logger.info("%s warm in %.1f s", settings.model_id, time.perf_counter() - started)
    uvicorn.Server(config).run(sockets=[listener])


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise AddressError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def load_classifier(settings: Settings) -> Classifier:
    """Load and warm up the model. Raises ModelLoadError, UnusableGpuError."""
    loaded = archive.read(settings.model_dir, settings.model_id)
    workers = hardware.available_processors()
    engine, nearest = engines.create_engine(loaded, settings, workers), neighbours.read(loaded)
    classifier = Classifier(loaded.card, engine, settings, workers, nearest)
    classifier.warm_up()
    return classifier


def _exit(number: int, frame: FrameType | None) -> None:
    """Uvicorn raises the signal again after draining: exit with status 0."""
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
