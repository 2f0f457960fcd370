from pathlib import Path

import pytest

from domain.model import ModelId
from serving.settings import MEBIBYTE, SettingError, Settings

DIGEST = "sha256:" + "ab" * 32
ENVIRONMENT = {"SORTBOX_MODEL_ID": f"pets:7:{DIGEST}", "SORTBOX_CONTAINER": "sha256:cd"}


def settings(*, processors: int = 2, **environment: str) -> Settings:
    return Settings.from_env(ENVIRONMENT | environment, processors)


def test_the_defaults_are_sagemakers() -> None:
    parsed = settings()
    assert (parsed.host, parsed.port, parsed.model_dir) == ("0.0.0.0", 8080, Path("/opt/ml/model"))
    assert parsed.model_id == ModelId("pets", 7, DIGEST)
    assert (parsed.batch, parsed.top_k, parsed.max_pixels) == (False, 5, 50_000_000)
    assert parsed.max_body_bytes == 25 * MEBIBYTE


@pytest.mark.parametrize(("payload", "concurrency"), [("6", 16), ("25", 4), ("100", 1), ("0", 1)])
def test_a_transform_job_never_has_more_than_100_mb_under_way(
    payload: str, concurrency: int
) -> None:
    parsed = settings(SAGEMAKER_MAX_PAYLOAD_IN_MB=payload)
    assert parsed.max_concurrent_transforms == concurrency
    assert parsed.max_body_bytes == (int(payload) or 100) * MEBIBYTE


@pytest.mark.parametrize(
    ("processors", "payload", "concurrency"),
    [(1, "1", 8), (2, "1", 16), (8, "1", 64), (64, "1", 100)],
)
def test_a_transform_job_is_asked_for_full_batches_on_every_core(
    processors: int, payload: str, concurrency: int
) -> None:
    parsed = settings(processors=processors, SAGEMAKER_MAX_PAYLOAD_IN_MB=payload)
    assert parsed.max_concurrent_transforms == concurrency
    assert parsed.queue >= concurrency


@pytest.mark.parametrize("engine", ["auto", "openvino", "torch"])
def test_the_engine_can_be_chosen(engine: str) -> None:
    assert settings(SORTBOX_ENGINE=engine).engine == engine


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SORTBOX_MODEL_ID", ""),
        ("SORTBOX_MODEL_ID", "pets:seven"),
        ("SORTBOX_CONTAINER", " "),
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_BIND_TO_PORT", "0"),
        ("SAGEMAKER_BIND_TO_PORT", "99999999999999999999"),
        ("SAGEMAKER_BATCH", "yes"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1"),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "101"),
        ("SORTBOX_TOP_K", "0"),
        ("SORTBOX_ENGINE", "tensorflow"),
        ("SORTBOX_GPU", "maybe"),
        ("SORTBOX_QUEUE", "1.5"),
        ("SORTBOX_MAX_BATCH", "٣"),
        ("SORTBOX_MAX_ARRAYS", ""),
        ("SORTBOX_MAX_PIXELS", "90000000"),
        ("SORTBOX_MAX_BODY_BYTES", "many"),
        ("SORTBOX_MAX_DECODES", "0"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        Settings.from_env(ENVIRONMENT | {name: value}, processors=2)


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_missing_setting_is_named(name: str) -> None:
    left = {key: value for key, value in ENVIRONMENT.items() if key != name}
    with pytest.raises(SettingError, match=f"{name} is not set"):
        Settings.from_env(left, processors=2)
