"""The parts that are pure enough to be asked directly."""

import json
import re
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.context import TransformResources
from batch.jobs.transform import TransformRequest, request_for
from batch.planning.slice import LARGE_IMAGES, SMALL_IMAGES, ViaTransform
from domain.keys import JobName
from infra.local.sagemaker.containers.containers import ArchiveRefused
from infra.local.sagemaker.containers.containers import unpack as unpack_archive
from infra.local.sagemaker.core import shapes
from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.transform import inputs
from infra.local.sagemaker.transform.request import PayloadLimits, TransformJobRequest
from serving.settings import Settings
from tests.contract.local_sagemaker.support.cloud import archive as packed
from tests.contract.local_sagemaker.support.cloud import archive_of

ROWS = 50_000


def unpack(content: bytes, folder: Path) -> dict[str, bytes]:
    (folder / "model.tar.gz").write_bytes(content)
    model = folder / "model"
    model.mkdir()
    unpack_archive(folder / "model.tar.gz", model)
    files = (path for path in model.rglob("*") if path.is_file())
    return {str(path.relative_to(model)): path.read_bytes() for path in files}


def member(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    special = tarfile.TarInfo(name)
    special.type = kind
    special.linkname = "card.json"
    return special, b""


def test_regular_files_are_unpacked_where_their_names_say(tmp_path: Path) -> None:
    files = {"./card.json": b"{}", "openvino/model.bin": b"\0\1"}
    assert unpack(packed(files), tmp_path) == {"card.json": b"{}", "openvino/model.bin": b"\0\1"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_anything_but_a_regular_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(ArchiveRefused, match="is not a regular file"):
        unpack(archive_of([member("odd", kind)]), tmp_path)


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "a/.."])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveRefused, match=r"no relative name|segment"):
        unpack(packed({name: b"x"}), tmp_path)


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    members = [*_members({"a": b"1"}), *_members({"a": b"2"})]
    with pytest.raises(ArchiveRefused, match="there twice"):
        unpack(archive_of(members), tmp_path)


def _members(files: dict[str, bytes]) -> list[tuple[tarfile.TarInfo, bytes]]:
    members = []
    for name, content in files.items():
        info = tarfile.TarInfo(name)
        info.size = len(content)
        members.append((info, content))
    return members


def test_an_archive_cut_short_is_refused(tmp_path: Path) -> None:
    whole = packed({"weights": bytes(range(256)) * 400})
    with pytest.raises(ArchiveRefused):
        unpack(whole[: len(whole) // 2], tmp_path)


@given(st.lists(st.text()), st.sampled_from([None, 1]))
def test_a_manifest_reads_as_json_does(
    tmp_path_factory: pytest.TempPathFactory, relative: list[str], indent: int | None
) -> None:
    manifest = tmp_path_factory.mktemp("manifest") / "manifest.json"
    rows = [{"prefix": "s3://bucket/in/"}, *relative]
    manifest.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    read = list(inputs.of_manifest(manifest))
    assert [item.relative for item in read] == relative
    assert [item.at.key for item in read] == [f"in/{name}" for name in relative]


def test_a_manifest_of_fifty_thousand_rows_is_never_in_memory(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    rows = (f"{number:06}/{'é' * 50}.jpg" for number in range(ROWS))
    manifest.write_text(json.dumps([{"prefix": "s3://bucket/in/"}, *rows]), encoding="utf-8")
    tracemalloc.start()
    count = sum(1 for _ in inputs.of_manifest(manifest))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == ROWS
    assert peak < 2_000_000 < manifest.stat().st_size


def test_a_row_without_an_end_is_not_read_for_ever(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text('[{"prefix": "s3://bucket/in/"}, "' + "a" * 10_000_000)
    with pytest.raises(inputs.BadManifest):
        list(inputs.of_manifest(manifest))


def test_every_pattern_of_the_service_model_is_understood() -> None:
    model = shapes.service()
    patterns = {model.shape_for(name).metadata.get("pattern") for name in model.shape_names}
    assert len(patterns) > 100
    for pattern in patterns - {None}:
        assert isinstance(shapes._pattern(pattern), re.Pattern)


def test_concurrency_times_payload_is_bounded() -> None:
    assert PayloadLimits(concurrency=10, payload_mb=10).concurrency == 10
    with pytest.raises(ValueError, match="exceeds 100 MB"):
        PayloadLimits(concurrency=11, payload_mb=10)


@pytest.mark.parametrize(("road", "at_once"), [(SMALL_IMAGES, 16), (LARGE_IMAGES, 1)])
def test_our_server_asks_our_jobs_for_full_batches_on_both_cores(
    road: ViaTransform, at_once: int
) -> None:
    """What the request leaves open must not reach the container as a setting of somebody's."""
    name, machines = (
        JobName("test", "trip", "0123456789", 1, 0, 0),
        TransformResources("ml.m5.xlarge", 1),
    )
    request = request_for(
        TransformRequest(name, "s3://bucket/m", "s3://bucket/out/", "m", road, machines)
    )
    plan = TransformJobRequest.of(dict(request))
    model = {"SORTBOX_MODEL_ID": f"pets:1:sha256:{'ab' * 32}", "SORTBOX_CONTAINER": "sha256:cd"}
    server = Settings.from_env({**model, **plan.container_environment}, processors=2)
    asked = {"MaxConcurrentTransforms": server.max_concurrent_transforms}
    assert plan.limits(asked).concurrency == at_once


@pytest.mark.parametrize(("kind", "taken"), [("ml.m5.xlarge", True), ("ml.g5.xlarge", False)])
def test_a_key_for_disks_that_the_machine_encrypts_itself_is_refused(
    kind: Any, taken: bool
) -> None:
    """As the API reference says of TransformResources and ResourceConfig."""
    name, machines = JobName("test", "trip", "0123456789", 1, 0, 0), TransformResources(kind, 1)
    request: Any = request_for(
        TransformRequest(
            name, "s3://bucket/work/m", "s3://bucket/work/out/", "model", SMALL_IMAGES, machines
        )
    )
    request["TransformResources"]["VolumeKmsKeyId"] = "alias/mine"
    if taken:
        TransformJobRequest.of(request)
    else:
        with pytest.raises(ValidationException, match="local storage"):
            TransformJobRequest.of(request)
