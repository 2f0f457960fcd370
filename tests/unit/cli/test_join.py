"""`join` takes data where they are: what the active model was trained on is in S3."""

from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from cli.__main__ import sortbox
from tests.support.builders import learnable

LABELS = {"cat": "cat", "cup": "coffee"}


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    return learnable.folder(tmp_path / "reviewed", {"cat": "cat"}, 2, "reviewed")


def test_data_of_s3_are_joined_and_nothing_of_the_download_stays(
    tmp_path: Path, reviewed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    out = tmp_path / "below" / "joined"
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="photos")
        for split in ("train", "validation", "test"):
            folder = learnable.folder(tmp_path / split, LABELS, 4, split)
            for path in folder.rglob("*.jpg"):
                key = f"data/{split}/{path.relative_to(folder).as_posix()}"
                s3.upload_file(str(path), "photos", key)
        words = ["join", "s3://photos/data", str(reviewed), "--stage=dev", f"--out={out}"]
        done = CliRunner().invoke(sortbox, words)
    assert done.exit_code == 0, done.output
    assert "Version 2: 10 train, 8 validation, 8 test images of 2 classes." in done.output
    assert len(list((out / "train" / "cat").iterdir())) == 6
    assert [path.name for path in out.parent.iterdir()] == ["joined"]


def test_data_of_s3_need_a_folder_to_be_written_to(reviewed: Path) -> None:
    done = CliRunner().invoke(sortbox, ["join", "s3://photos/data/", str(reviewed)])
    assert done.exit_code == 2
    assert "name one by --out" in done.output


def test_what_is_neither_is_said_before_anything(reviewed: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(sortbox, ["join", str(tmp_path / "nowhere"), str(reviewed)])
    assert done.exit_code == 2
    assert "is no folder here, and no s3:// address" in done.output
