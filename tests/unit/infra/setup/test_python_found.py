"""Which Python `make` takes: one that runs, and that Sortbox runs on."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from infra.setup import environments

FIND = Path(__file__).parents[4] / "infra" / "setup" / "python.sh"
FITS, DOES_NOT = "exit 0", "exit 1"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs, all there is on the PATH."""
    return tmp_path


def install(machine: Path, name: str, does: str, says: str = "") -> Path:
    program = machine / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{says}"; exit; fi\n{does}\n'
    )
    program.chmod(0o755)
    return program


def found(*path: Path, python: str = "", of: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", FIND, of],
        env={"PATH": os.pathsep.join(map(str, path)), "PYTHON": python},
        capture_output=True,
        text=True,
    )


def test_the_newest_that_fits_is_taken(machine: Path) -> None:
    install(machine, "python3.11", FITS)
    newest = install(machine, "python3.12", FITS)
    assert found(machine).stdout.strip() == str(newest)


def test_a_shim_that_stands_for_nothing_hides_no_python_behind_it(machine: Path) -> None:
    install(machine, "shims/python3.12", DOES_NOT)
    install(machine, "shims/python3", DOES_NOT)
    behind = install(machine, "bin/python3", FITS)
    assert found(machine / "shims", machine / "bin").stdout.strip() == str(behind)


def test_the_python_that_is_named_comes_first(machine: Path) -> None:
    install(machine, "python3.12", FITS)
    named = install(machine, "mine", FITS)
    assert found(machine, python=str(named)).stdout.strip() == str(named)


def test_a_machine_with_another_python_only_gets_a_sentence(machine: Path) -> None:
    install(machine, "python3", DOES_NOT, says="Python 3.15.1")
    answer = found(machine)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "Sortbox needs Python 3.11 to 3.14; here is Python 3.15.1." in answer.stderr


TOO_NEW_FOR_TRAINING = 'case "$2" in *"(3, 12)"*) exit 1;; esac'
"""Of what asks it which version it is, as 3.13 and 3.14 answer."""


def test_training_takes_no_python_that_is_too_new_for_it(machine: Path) -> None:
    newer = install(machine, "python3.13", TOO_NEW_FOR_TRAINING, says="Python 3.13.1")
    assert found(machine).stdout.strip() == str(newer)
    assert found(machine, of="training").returncode == 1
    older = install(machine, "python3.11", FITS)
    assert found(machine, of="training").stdout.strip() == str(older)
    assert found(machine).stdout.strip() == str(older), "one Python for both where there is one"


def test_the_versions_are_alike_wherever_they_are_written() -> None:
    script = FIND.read_text()
    newest = re.findall(r"newest=(\d+)", script)
    assert f"3.{newest[1]}" == environments.TRAINING_PYTHON
    project = tomllib.loads((FIND.parents[2] / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">=3.11,<3.{int(newest[0]) + 1}"


def test_a_machine_without_python_gets_a_sentence(machine: Path) -> None:
    answer = found(machine)
    assert answer.returncode == 1
    assert "here is no Python at all" in answer.stderr
