"""`./sortbox console` on the suite's local cloud, and a page of it in Chromium."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local import cloud as local
from infra.local.place import REPOSITORY, VARIABLE
from tests.flow.conftest import STAND_IN, Activate, archive
from tests.flow.support.drive import Cloud

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def address(
    running: local.LocalCloud, cloud: Cloud, activate: Activate, tmp_path: Path
) -> Iterator[str]:
    """`./sortbox console`, until the test ends; and the stand-in is the active model again."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    command = (sys.executable, str(REPOSITORY / "cli"), "console", "--no-browser", "--stage=local")
    place = {VARIABLE: str(running.place.root), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=running.environment | place, stdout=subprocess.PIPE, text=True
    ) as console:
        assert console.stdout is not None
        yield console.stdout.readline().strip()
        os.kill(console.pid, signal.SIGINT)
        console.wait(timeout=30)
    activate(archive(tmp_path / "stand-in.tar.gz", "stand-in"), STAND_IN)


@pytest.fixture
def page(address: str) -> "Iterator[Page]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        opened = browser.new_page()
        opened.set_default_timeout(60_000)
        opened.goto(address)
        yield opened
        browser.close()
