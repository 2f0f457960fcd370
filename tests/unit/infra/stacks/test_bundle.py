"""build/lambda.zip: small, the same every time, and enough."""

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import boto3
import pytest

from infra import shipped
from infra.stacks import bundle
from infra.stacks.bundle import BundleError

HANDLERS = ("on_upload", "on_folder", "on_page", "on_schedule")

IMPORT_FROM_THE_BUNDLE = """
import sys
bundle, runtime, handler = sys.argv[1:]
sys.path[:0] = [bundle]
sys.path.append(runtime)
import importlib
for brought in ("boto3", "botocore", "s3transfer", "urllib3", "dateutil", "six"):
    importlib.import_module(brought)  # what Lambda's runtime brings
sys.path.remove(runtime)
module = importlib.import_module(f"functions.{handler}")
assert callable(module.handler)
assert module.__file__.startswith(bundle), module.__file__
print(*sorted(sys.modules))
"""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    target = tmp_path / "lambda.zip"
    bundle.build(target)
    return target


def test_the_same_sources_make_the_same_bytes(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    bundle.build(again)
    assert again.read_bytes() == built.read_bytes()


def test_the_bundle_holds_sources_only(built: Path) -> None:
    with ZipFile(built) as content:
        names = content.namelist()
    others = [name for name in names if not name.endswith((".py", ".jinja"))]
    assert others == ["THIRD_PARTY_NOTICES.txt"]
    assert "pages/templates/runs/folder.html.jinja" in names
    rooms = {name.split("/")[0] for name in names}
    assert {"functions", "aws", "batch", "domain", "aws_lambda_powertools"} <= rooms
    assert not rooms & {"serving", "training", "infra", "tests", "boto3", "numpy", "torch"}


def test_the_bundle_brings_the_licences_of_what_it_brings(built: Path) -> None:
    with ZipFile(built) as content:
        notices = content.read("THIRD_PARTY_NOTICES.txt").decode()
    for name in shipped.DISTRIBUTIONS:
        assert re.search(rf"^{name} [0-9.]+ +[A-Z]", notices, re.M), name
    assert "Permission is hereby granted, free of charge" in notices, "MIT's own words"
    assert "PYTHON SOFTWARE FOUNDATION LICENSE" in notices, "typing-extensions'"


def test_a_bundle_that_is_too_large_says_so_and_leaves_the_last_good_one(built: Path) -> None:
    before = built.read_bytes()
    with pytest.raises(BundleError, match="more than 1,000"):
        bundle.build(built, largest=1_000)
    assert built.read_bytes() == before


def test_the_bundle_takes_two_megabytes_at_most(built: Path) -> None:
    assert built.stat().st_size <= 2 * 1024 * 1024


WRITE_A_PAGE_FROM_THE_BUNDLE = """
import sys
bundle, site_packages = sys.argv[1:]
sys.path[:0] = [bundle]
sys.path.append(site_packages)
import botocore.exceptions, functions.on_page
assert "jinja2" not in sys.modules, "a cold start waits for it"
sys.path.remove(site_packages)
from batch.claim import Run
from batch.reports import change_page
from batch.reports.changes import Changes
run = Run("<b>", "0123456789", "2026-01-01T00:00:00Z", first=False, kind="renewal")
page = change_page.page(run, Changes(), lambda key: None)
assert "&lt;b&gt;" in page and "<b>" + "<" not in page
import jinja2, markupsafe
assert jinja2.__file__.startswith(bundle) and markupsafe.__file__.startswith(bundle)
assert "markupsafe._native" in sys.modules and "markupsafe._speedups" not in sys.modules
"""


def test_pages_are_written_without_anything_compiled(built: Path, tmp_path: Path) -> None:
    """Of markupsafe's two halves the bundle has the one that runs on either architecture."""
    with ZipFile(built) as content:
        content.extractall(tmp_path / "task")  # as Lambda does
    site_packages = str(Path(boto3.__file__).parents[1])
    script = [sys.executable, "-I", "-S", "-c", WRITE_A_PAGE_FROM_THE_BUNDLE]
    done = subprocess.run(
        [*script, tmp_path / "task", site_packages], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_needs_nothing_but_the_bundle_and_the_runtime(built: Path, handler: str) -> None:
    site_packages = str(Path(boto3.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORT_FROM_THE_BUNDLE, built, site_packages, handler],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "numpy", "PIL", "sagemaker", "pandas"}
