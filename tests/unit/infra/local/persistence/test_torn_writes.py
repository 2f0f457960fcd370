"""Objects whose write the end of the emulator cut in two."""

import json
import os
from pathlib import Path

from infra.local.persistence import torn_writes

BUCKET = ("000000000000", "bucket")


def put(folder: Path, key: str, body: bytes, version: str, at: int) -> Path:
    """An object as the emulator writes it: bytes, then the sidecar."""
    bytes_at = folder.joinpath(*BUCKET, key)
    bytes_at.parent.mkdir(parents=True, exist_ok=True)
    bytes_at.write_bytes(body)
    os.utime(bytes_at, (at, at))
    sidecar = bytes_at.with_name(f"{bytes_at.name}.meta.json")
    sidecar.write_text(json.dumps({"size": len(body), "version_id": version}))
    os.utime(sidecar, (at, at))
    return bytes_at


def overwrite_half(bytes_at: Path, body: bytes, at: int) -> None:
    bytes_at.write_bytes(body)
    os.utime(bytes_at, (at, at))


def test_the_version_before_takes_the_place_of_a_torn_one(tmp_path: Path) -> None:
    torn = put(tmp_path, "inbox/a.jpg", b"old", "v1", at=1000)
    kept = tmp_path.joinpath(".versions", *BUCKET, "v1", "inbox/a.jpg")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"old")
    overwrite_half(torn, b"newer", at=2000)
    assert torn_writes.undo(tmp_path) == 1
    assert torn.read_bytes() == b"old"
    assert torn_writes.undo(tmp_path) == 0, "once"


def test_without_versions_the_bytes_stay_and_are_measured_again(tmp_path: Path) -> None:
    torn = put(tmp_path, "a.jpg", b"old", "null", at=1000)
    overwrite_half(torn, b"newer", at=2000)
    assert torn_writes.undo(tmp_path) == 1
    assert torn.read_bytes() == b"newer"
    assert [path.name for path in torn.parent.iterdir()] == ["a.jpg"]


def test_whole_objects_are_left_alone_and_unfinished_files_deleted(tmp_path: Path) -> None:
    whole = put(tmp_path, "inbox/a.jpg", b"whole", "v1", at=1000)
    (whole.parent / "b.jpg.tmp").write_bytes(b"half")
    assert torn_writes.undo(tmp_path) == 0
    assert whole.read_bytes() == b"whole"
    assert sorted(path.name for path in whole.parent.iterdir()) == ["a.jpg", "a.jpg.meta.json"]


def test_nothing_stored_yet_is_nothing_torn(tmp_path: Path) -> None:
    assert torn_writes.undo(tmp_path / "absent") == 0
