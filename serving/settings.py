"""The settings of the server, read from its environment once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from domain.errors import SortboxError
from domain.model import ModelId
from serving.decoding import bounds

MEBIBYTE = 2**20
MAX_ENDPOINT_BODY_BYTES = 25 * MEBIBYTE
"""InvokeEndpoint takes at most 25 MB."""

MAX_TRANSFORM_MEGABYTES = 100
MAX_TRANSFORM_CONCURRENCY = 100
"""Batch Transform: payload x concurrency <= 100 MB, and concurrency <= 100."""

BATCHES_PER_CORE = 2
"""Batches per core that a transform job has in flight, so that the next one is always waiting."""

PAYLOAD_VARIABLE = "SAGEMAKER_MAX_PAYLOAD_IN_MB"

MAX_PILLOW_PIXELS = 89_478_485
"""Pillow's own limit; ours must not exceed it."""


EngineChoice = Literal["auto", "openvino", "torch"]


class SettingError(SortboxError, ValueError):
    """A setting is missing or invalid; the sentence names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    model_dir: Path
    host: str
    port: int
    model_id: ModelId
    container: str
    batch: bool
    max_payload_mb: int
    """The largest request of a transform job, in MB; 0 is SageMaker's value for "unlimited"."""
    max_concurrent_transforms: int
    top_k: int
    queue: int
    """Requests held at once, bodies included; the next one is answered 429, in a job 503."""
    max_batch: int
    """The largest batch. On two cores, EfficientNet-Lite0 is slower per image in batches of eight
    than of four, because of the caches."""
    engine: EngineChoice
    """auto: PyTorch on a GPU, else OpenVINO if the archive has its files, else PyTorch."""
    requires_gpu: bool
    """Whether the server exits if the machine has a GPU that PyTorch cannot use."""
    max_arrays: int
    """The most images in one application/x-npy body."""
    max_pixels: int
    max_body_bytes: int
    max_decodes: int
    """The most expensive files that are decoded at once, each in its own process of up to 600
    MB."""
    decode_ms: int
    """The processor time for decoding one file, in ms; beyond it the file is too_expensive."""
    stall_seconds: int
    """/ping answers 503 if work is pending and none was completed for this many seconds."""

    @property
    def max_large(self) -> int:
        """The most large files that may wait: half of all requests; in a transform job, all that it
        sends at once."""
        return max(self.queue // 2, self.max_concurrent_transforms if self.batch else 0)

    @property
    def max_thumbnails(self) -> int:
        """The most requests for thumbnails at once, because classification has priority."""
        return max(1, self.queue // 8)

    @classmethod
    def from_env(cls, environ: Mapping[str, str], processors: int) -> "Settings":
        """Read the settings; the defaults of some depend on the number of `processors`.

        Raises SettingError, naming the first setting that is missing or invalid.
        """
        payload = _parse_integer(environ, PAYLOAD_VARIABLE, 6, 0, MAX_TRANSFORM_MEGABYTES)
        queue = _parse_integer(environ, "SORTBOX_QUEUE", min(256, 32 * processors), 1, 10_000)
        max_batch = _parse_integer(environ, "SORTBOX_MAX_BATCH", 4, 1, 256)
        full_batches = BATCHES_PER_CORE * processors * max_batch
        megabytes = payload or MAX_TRANSFORM_MEGABYTES
        concurrency = max(
            1,
            min(
                full_batches, queue, MAX_TRANSFORM_CONCURRENCY, MAX_TRANSFORM_MEGABYTES // megabytes
            ),
        )
        return cls(
            model_dir=Path(environ.get("SM_MODEL_DIR", "/opt/ml/model")),
            host=environ.get("SORTBOX_BIND_HOST", "0.0.0.0"),
            port=_parse_integer(environ, "SAGEMAKER_BIND_TO_PORT", 8080, 1, 65_535),
            model_id=_parse_model_id(environ),
            container=_parse_text(environ, "SORTBOX_CONTAINER"),
            batch=_parse_boolean(environ, "SAGEMAKER_BATCH"),
            max_payload_mb=payload,
            max_concurrent_transforms=_parse_integer(
                environ, "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", concurrency, 1, 100
            ),
            top_k=_parse_integer(environ, "SORTBOX_TOP_K", 5, 1, 1_000),
            queue=queue,
            max_batch=max_batch,
            engine=_parse_engine(environ),
            requires_gpu=_parse_gpu(environ),
            max_arrays=_parse_integer(environ, "SORTBOX_MAX_ARRAYS", 32, 1, 1_024),
            max_pixels=_parse_integer(
                environ, "SORTBOX_MAX_PIXELS", bounds.MAX_PIXELS, 1, MAX_PILLOW_PIXELS
            ),
            max_body_bytes=_parse_integer(
                environ, "SORTBOX_MAX_BODY_BYTES", _default_body_bytes(environ, payload), 1, 2**31
            ),
            max_decodes=_parse_integer(
                environ, "SORTBOX_MAX_DECODES", max(2, min(processors, 64)), 1, 64
            ),
            decode_ms=_parse_integer(environ, "SORTBOX_DECODE_MS", 2_000, 100, 60_000),
            stall_seconds=_parse_integer(environ, "SORTBOX_STALL_SECONDS", 30, 1, 3_600),
        )


def _default_body_bytes(environ: Mapping[str, str], payload_mb: int) -> int:
    if PAYLOAD_VARIABLE not in environ:
        return MAX_ENDPOINT_BODY_BYTES
    return (payload_mb or MAX_TRANSFORM_MEGABYTES) * MEBIBYTE


def _parse_text(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise SettingError(f"{name} is not set")
    return value


def _parse_integer(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not low <= int(text[:12]) <= high:
        raise SettingError(f"{name} must be a whole number from {low} to {high}, not {text!r}")
    return int(text)


def _parse_boolean(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "false").lower()
    if text not in ("true", "false"):
        raise SettingError(f"{name} must be true or false, not {text!r}")
    return text == "true"


def _parse_engine(environ: Mapping[str, str]) -> EngineChoice:
    text = environ.get("SORTBOX_ENGINE", "auto")
    for choice in get_args(EngineChoice):
        if text == choice:
            chosen: EngineChoice = choice
            return chosen
    raise SettingError(f"SORTBOX_ENGINE must be auto, openvino or torch, not {text!r}")


def _parse_gpu(environ: Mapping[str, str]) -> bool:
    text = environ.get("SORTBOX_GPU", "required")
    if text not in ("required", "optional"):
        raise SettingError(f"SORTBOX_GPU must be required or optional, not {text!r}")
    return text == "required"


def _parse_model_id(environ: Mapping[str, str]) -> ModelId:
    text = _parse_text(environ, "SORTBOX_MODEL_ID")
    try:
        return ModelId.parse(text)
    except ValueError as error:
        raise SettingError(f"SORTBOX_MODEL_ID is wrong: {error}") from error
