"""Where tests run in two processes, what shares a server or a cloud stays in one of them."""

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import scope_of

REPOSITORY = Path(__file__).parents[2]
TWO_FILES = ("tests/unit/test_version.py", "tests/unit/test_workflows.py")


def test_a_folder_that_shares_a_cloud_is_one_scope() -> None:
    assert scope_of("tests/flow/test_cloud.py::test_a") == scope_of("tests/flow/test_b.py::test_b")
    assert scope_of("tests/flow/cloud/test_a.py::test_a") == scope_of(
        "tests/flow/test_b.py::test_b"
    )
    assert scope_of("tests/unit/test_a.py::test_a") != scope_of("tests/unit/test_b.py::test_a")


def test_no_file_is_run_by_two_processes() -> None:
    command = [sys.executable, "-m", "pytest", "-v", "--color=no", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--numprocesses", "2", *TWO_FILES],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    ran = re.findall(r"^\[(gw\d)\] .*PASSED (\S+?)::", done.stdout, re.MULTILINE)
    assert {file for _, file in ran} == set(TWO_FILES)
    assert len(set(ran)) == len(TWO_FILES), ran
