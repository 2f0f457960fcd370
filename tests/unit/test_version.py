"""The version is written in one place, and whoever tells it reads it there."""

import tomllib
from pathlib import Path

from click.testing import CliRunner

from cli.__main__ import sortbox
from domain.version import VERSION

REPOSITORY = Path(__file__).parents[2]


def test_the_command_line_tells_it() -> None:
    result = CliRunner().invoke(sortbox, ["--version"], prog_name="sortbox")
    assert result.output.split() == ["sortbox,", "version", VERSION]


def test_the_project_reads_it() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert "version" not in settings["project"]
    assert settings["project"]["dynamic"] == ["version"]
    dynamic = settings["tool"]["setuptools"]["dynamic"]
    assert dynamic == {"version": {"attr": "domain.version.VERSION"}}


def test_the_script_is_the_command_line() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert settings["project"]["scripts"] == {"sortbox": "cli.__main__:main"}


def test_nobody_writes_it_a_second_time() -> None:
    places = [REPOSITORY / "package.json", REPOSITORY / "serverless.yml"]
    packages = ("aws", "batch", "cli", "domain", "functions", "infra", "pages", "serving")
    for package in (*packages, "training"):
        places += (REPOSITORY / package).rglob("*.py")
    found = [path for path in places if f'"{VERSION}"' in path.read_text()]
    assert found == [REPOSITORY / "domain" / "version.py"]
