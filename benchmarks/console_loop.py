"""The loop in the console, by its pages: drop, correct, train, preview, promote, renew.

`make bench-loop DATA=folder`, in a cloud of its own. DATA has `train/` and `validation/` with a
folder for each class. A first model learns from a few photos of each; the others are dropped, and
each round corrects the least sure answers by keyboard. Compare figures of one machine only.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import boto3
from rich.console import Console as Terminal
from rich.table import Table

from aws.bucket import Bucket
from domain import result
from domain.keys import INBOX, OUTBOX
from domain.result import Classified
from infra.local.account import STAGE
from infra.local.beside import console_address
from infra.local.place import REPOSITORY, Place

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = "loop"
MARK = "__"
"""Between the class and the name of a dropped photo, which so says what it shows."""

HELD_OUT = 10
"""Photos of each class that select the first model."""

STEP_SECONDS = 900.0
SETTLE_SECONDS = 0.2
CURRENT = "async () => (await import('/static/gallery.js')).current()?.image ?? null"


@dataclass(frozen=True, slots=True)
class LoopRound:
    """Seconds of each step; accuracies as the model serves, and of answers nobody corrected."""

    seconds: dict[str, float]
    tested: str
    answers: float


@dataclass
class ConsoleLoop:
    page: "Page"
    bucket: Bucket
    data: Path
    corrected: set[str] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started

    def go(self, path: str) -> None:
        self.page.goto(self._address(path))

    def act(self, button: str) -> str:
        """Start an action by its button; its lines, when it has ended with success."""
        page = self.page
        with page.expect_response(lambda reply: reply.request.method == "POST") as started:
            page.get_by_role("button", name=f"{button} …").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_role("button", name=button, exact=True).click()
        return self.wait_for(str(started.value.json()["id"]))

    def wait_for(self, id_: str) -> str:
        """The lines of an action, which has to end with success."""
        deadline = time.monotonic() + STEP_SECONDS
        while time.monotonic() < deadline:
            address = self._address(f"/api/actions/{id_}")
            action = self.page.request.get(address).json()
            if not action["running"]:
                assert action["state"] == "done", action["text"]
                return str(action["text"])
            time.sleep(SETTLE_SECONDS)
        raise TimeoutError(f"the action {id_} runs on")

    def _address(self, path: str) -> str:
        return re.sub(r"(://[^/]+).*", rf"\1{path}", self.page.url)

    def drop(self, photos: Path) -> int:
        """Drop a folder; how many photos were answered."""
        self.go("/drop")
        self.page.locator("#folder").set_input_files(str(photos))
        status = f"{OUTBOX}{FOLDER}/_status.json"
        deadline = time.monotonic() + STEP_SECONDS
        while time.monotonic() < deadline:
            stored = self.bucket.read(status)
            if stored and json.loads(stored.body)["state"] == "finished":
                return sum(1 for _ in self._answers())
            self.page.wait_for_timeout(500)
        raise TimeoutError("the folder is not finished")

    def _answers(self) -> Iterator[Classified]:
        for item in self.bucket.walk(f"{OUTBOX}{FOLDER}/"):
            stored = self.bucket.read(item.key) if MARK in item.key else None
            answer = result.from_json(stored.body) if stored else None
            if isinstance(answer, Classified):
                yield answer

    def accuracy(self) -> float:
        """Of the answers that nobody has corrected."""
        answers = [one for one in self._answers() if one.image not in self.corrected]
        return sum(one.labels[0].label == shown(one.image) for one in answers) / len(answers)

    def correct(self, count: int) -> None:
        """By keyboard, the least sure first."""
        page = self.page
        self.go(f"/look?folder={quote(f'{INBOX}{FOLDER}/', safe='')}&sort=score-up")
        page.locator("#gallery").get_by_role("option").nth(8).wait_for()
        page.locator("#gallery").focus()
        page.keyboard.press("Home")
        page.locator("#correct").wait_for()
        done = 0
        while done < count:
            image = page.evaluate(CURRENT)
            if image in self.corrected:
                page.keyboard.press("ArrowRight")
            else:
                page.keyboard.press("/")
                page.keyboard.type(shown(image))
                page.keyboard.press("Enter")
                self.corrected.add(image)
                done += 1
            page.wait_for_function(f"async (image) => (await ({CURRENT})()) !== image", arg=image)
        page.get_by_text(re.compile(r"^Stored: \d+\.$")).wait_for()

    def train(self) -> tuple[str, str]:
        """On the data and the corrections: the job, and the sentence of its accuracy."""
        self.go("/train")
        self.page.get_by_text(re.compile("Images that people have corrected")).wait_for()
        self.page.get_by_label("A folder on this machine, or s3://…").fill(str(self.data))
        self.page.get_by_label("name", exact=True).fill(FOLDER)
        lines = self.act("Train")
        [job] = set(re.findall(r"^job: (\S+)", lines, re.MULTILINE))
        [accuracy] = re.findall(r"^accuracy .*$", lines, re.MULTILINE)
        return job, accuracy.partition(";")[0]

    def renew(self) -> None:
        """Reclassify, and wait for the report of what has changed."""
        self.go("/models")
        reports = self.page.locator("#runs").get_by_role("link", name="change report")
        before = reports.count()
        self.page.get_by_label("Below").fill(f"{INBOX}{FOLDER}/")
        with self.page.expect_response(lambda reply: reply.request.method == "POST") as started:
            self.page.get_by_role("button", name="Dry run").click()
        self.wait_for(str(started.value.json()["id"]))
        self.act("Reclassify")
        reports.nth(before).wait_for(timeout=STEP_SECONDS * 1000)

    def round(self, corrections: int) -> LoopRound:
        self.seconds = {}
        with self.step("corrections"):
            self.correct(corrections)
        with self.step("training"):
            job, tested = self.train()
        self.go(f"/models?job={job}")
        with self.step("preview"):
            self.act("Preview")
        self.go(f"/models?job={job}")
        with self.step("promotion"):
            self.act("Promote")
        with self.step("renewal"):
            self.renew()
        return LoopRound(self.seconds, tested, self.accuracy())


def shown(image: str) -> str:
    """What a dropped photo shows, by its name."""
    return Path(image).name.partition(MARK)[0]


def divide(source: Path, target: Path, first: int) -> None:
    """A folder `data`, with `first` photos of each class in train, and `loop` with the others."""
    (target / FOLDER).mkdir(parents=True)
    for folder in sorted((source / "train").iterdir()):
        photos = iter(sorted(folder.iterdir()))
        for split, count in (("train", first), ("validation", HELD_OUT)):
            below = target / "data" / split / folder.name
            below.mkdir(parents=True)
            for photo in islice(photos, count):
                shutil.copy(photo, below)
        shutil.copytree(source / "validation" / folder.name, target / "data/test" / folder.name)
        for photo in photos:
            shutil.copy(photo, target / FOLDER / f"{folder.name}{MARK}{photo.name}")


def command(*words: str) -> None:
    subprocess.run([sys.executable, str(REPOSITORY / "cli"), *words], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console_loop", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--first", type=int, default=20, help="photos of each class at first")
    parser.add_argument("--corrections", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("Chromium is not installed.")
    terminal = Terminal()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        divide(args.data, Path(scratch), args.first)
        data = Path(scratch) / "data"
        command("train", str(data), "--name", FOLDER)
        command("promote", "--replace-labels")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(120_000)
        page.goto(console_address(Place.named(os.environ)) or "")
        loop = ConsoleLoop(page, Bucket(boto3.client("s3"), STAGE.bucket), data)
        with loop.step("drop"):
            count = loop.drop(Path(scratch) / FOLDER)
        seconds = loop.seconds["drop"]
        terminal.print(f"{count:,} photos dropped and answered in {seconds:.0f} s", highlight=False)
        terminal.print(f"right at first: {loop.accuracy():.3f}", highlight=False)
        table = Table("round", "seconds", "of these", "test split", "right")
        for number in range(1, args.rounds + 1):
            made = loop.round(args.corrections)
            of = ", ".join(f"{name} {took:.0f}" for name, took in made.seconds.items())
            total = f"{sum(made.seconds.values()):.0f}"
            table.add_row(str(number), total, of, made.tested, f"{made.answers:.3f}")
        terminal.print(table)
        browser.close()


if __name__ == "__main__":
    main()
