"""What runs on a forge, and before a commit, is what people run here: verbs of make and .venv."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
VERBS = set(re.findall(r"^\.PHONY: (.+)$", (REPOSITORY / "Makefile").read_text(), re.M)[0].split())


def jobs(workflow: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(workflow.read_text())
    found: dict[str, Any] = document["jobs"]
    return found


def commands(workflow: Path) -> Iterator[str]:
    for job in jobs(workflow).values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_the_hash_of_a_commit(workflow: Path) -> None:
    uses = [line for line in workflow.read_text().splitlines() if "uses:" in line]
    assert uses
    loose = [line for line in uses if not PINNED.search(line)]
    assert not loose, "whoever moves a tag would run their code with our token"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_job_may_only_read_and_ends(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text())["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 180 for job in jobs(workflow).values())


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_verbs_that_make_knows(workflow: Path) -> None:
    runs = [command for command in commands(workflow) if command.startswith("make ")]
    assert runs
    words = {
        word for run in runs for word in run.split()[1:] if re.fullmatch(r"[a-z][a-z-]*", word)
    }
    assert words <= VERBS


def test_both_pythons_that_train_are_tested() -> None:
    (unit,) = (jobs(path)["unit"] for path in WORKFLOWS if path.stem == "check")
    assert unit["strategy"]["matrix"]["python"] == ["3.11", "3.12"]


def test_hooks_use_the_tools_of_the_environment() -> None:
    settings = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in settings["repos"]] == ["local"]
    hooks = [hook for repository in settings["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert all(hook["entry"].startswith(".venv/bin/python -m ") for hook in hooks)
    paths = [word for hook in hooks for word in hook["entry"].split() if word.startswith("tests/")]
    assert paths
    assert not [path for path in paths if not (REPOSITORY / path).exists()]
