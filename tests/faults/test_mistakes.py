"""The suite catches every seeded mistake, and is content where there is none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.mistakes.actions import OF_THE_ACTIONS
from tests.faults.mistakes.archives import OF_THE_ARCHIVES
from tests.faults.mistakes.commands import OF_THE_COMMANDS
from tests.faults.mistakes.corrections import OF_THE_CORRECTIONS
from tests.faults.mistakes.datasets import OF_THE_DATA_SETS
from tests.faults.mistakes.inputs import OF_THE_INPUTS
from tests.faults.mistakes.local_cloud import OF_THE_LOCAL_CLOUD
from tests.faults.mistakes.product import OF_THE_CHECKER, OF_THE_PRODUCT, Mistake
from tests.faults.mistakes.templates import OF_THE_TEMPLATES
from tests.faults.mistakes.uploads import OF_THE_UPLOADS

REPOSITORY = Path(__file__).parents[2]
ROOMS = (
    *("domain", "aws", "pages", "batch", "functions", "serving", "training", "infra"),
    *("console", "cli", "benchmarks", "docs", "tests"),
)
FILES = (
    *("pyproject.toml", "serverless.yml", "Makefile", "package.json", "package-lock.json"),
    *("requirements.in", "requirements.txt", "sortbox", ".dockerignore"),
)
ALL = (
    *(*OF_THE_PRODUCT, *OF_THE_CHECKER, *OF_THE_TEMPLATES),
    *(*OF_THE_COMMANDS, *OF_THE_INPUTS, *OF_THE_ARCHIVES),
    *OF_THE_LOCAL_CLOUD,
    *OF_THE_DATA_SETS,
    *OF_THE_CORRECTIONS,
    *OF_THE_UPLOADS,
    *OF_THE_ACTIONS,
)
SECONDS = 180


@pytest.mark.parametrize("mistake", ALL, ids=lambda mistake: mistake.name)
def test_every_mistake_can_still_be_made(mistake: Mistake) -> None:
    found = (REPOSITORY / mistake.file).read_text().count(mistake.before)
    assert found == 1, (
        f"{mistake.file} holds {found} times what this mistake would change: write its `before` "
        "anew, or the suite no longer proves that the mistake is noticed."
    )
    for each in mistake.caught_by.split():
        path, _, test = each.partition("::")
        assert (REPOSITORY / path).is_file(), path
        assert f"def {test}" in (REPOSITORY / path).read_text(), each


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scratch") / "sortbox"
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / room, folder / room, ignore=ignored)
    for name in FILES:
        shutil.copy(REPOSITORY / name, folder)
    for name in (".local", "node_modules"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


def suite(scratch: Path, caught_by: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *caught_by.split()],
        cwd=scratch,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.faults
def test_the_suite_is_content_with_the_product_as_it_is(scratch: Path) -> None:
    paths = sorted({path for mistake in ALL for path in mistake.caught_by.split()})
    done = suite(scratch, " ".join(paths))
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.faults
@pytest.mark.parametrize("mistake", ALL, ids=lambda mistake: mistake.name)
def test_the_suite_catches_it(scratch: Path, mistake: Mistake) -> None:
    file = scratch / mistake.file
    good = file.read_text()
    file.write_text(good.replace(mistake.before, mistake.after))
    try:
        done = suite(scratch, mistake.caught_by)
    finally:
        file.write_text(good)
    # 1: tests failed. Anything else would be an error of ours, and no sign of a good test.
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert " failed" in done.stdout
