"""A person sets AWS_REGION alone, as the README asks: every command goes there, and nowhere else.

The local cloud as if it were an account: its addresses and keys in the environment, and a stage
that is not called `local`. boto3 by itself would go to the region of the profile.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from infra.local.account import ACCOUNT, REGION
from infra.local.cloud import LocalCloud
from infra.local.place import REPOSITORY

pytestmark = pytest.mark.flow

STAGE = "alone"
BUCKET = f"sortbox-{STAGE}-{ACCOUNT}-{REGION}"
PROFILE = """\
[default]
region = eu-north-1
s3 =
    signature_version = s3v4
"""


@pytest.fixture(scope="module")
def environment(running: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    config = tmp_path_factory.mktemp("person") / "config"
    config.write_text(PROFILE)
    variables = {**running.environment, "AWS_REGION": REGION, "AWS_CONFIG_FILE": str(config)}
    del variables["AWS_DEFAULT_REGION"], variables["SORTBOX_BUCKET"]
    return variables


def types(
    environment: Mapping[str, str], command: str, *options: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "cli"), command, "--stage", STAGE, *options],
        env={**environment, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )


@pytest.fixture(scope="module")
def deployed(environment: Mapping[str, str], running: LocalCloud) -> Iterator[str]:
    done = types(environment, "deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    yield done.stdout
    gone = types(environment, "remove", "--yes", "--bucket", "delete")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    names = {each["Name"] for each in running.client("s3").list_buckets()["Buckets"]}
    assert BUCKET not in names


@pytest.mark.usefixtures("deployed")
def test_what_is_deployed_is_in_the_region_that_was_set(running: LocalCloud) -> None:
    names = {each["Name"] for each in running.client("s3").list_buckets()["Buckets"]}
    assert {name for name in names if STAGE in name} == {BUCKET}


@pytest.mark.usefixtures("deployed")
def test_the_doctor_looks_in_the_region_that_was_set(environment: Mapping[str, str]) -> None:
    done = types(environment, "doctor")
    assert f"region {REGION}" in done.stdout, done.stdout + done.stderr
    assert "eu-north-1" not in done.stdout + done.stderr
    assert f"{BUCKET} is there" in done.stdout


@pytest.mark.usefixtures("deployed")
def test_status_reads_the_stage_of_the_region_that_was_set(
    environment: Mapping[str, str],
) -> None:
    done = types(environment, "status")
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_region_at_all_is_a_sentence(environment: Mapping[str, str]) -> None:
    without = {name: value for name, value in environment.items() if name != "AWS_REGION"}
    done = types({**without, "AWS_CONFIG_FILE": os.devnull}, "status")
    assert (done.returncode, "Set AWS_REGION" in done.stderr) == (1, True), done.stderr
