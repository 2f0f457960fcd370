"""The console's gallery with many answers: first picture, filters, scrolling and memory.

`make bench-console`: the server runs as a process of its own over an S3 whose answers are computed
when they are read, each call after a delay like S3's; Chromium measures what a person sees. Compare
figures of one machine only, and with its load named.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.console import Console as Terminal
from rich.table import Table

from aws.bucket import Bucket
from console.answers.filling import Filling
from console.answers.index import FILE, AnswerIndex
from console.context import Console
from console.web.server import listen
from infra.stage import Stage
from tests.support.fakes.many_answers import ManyAnswersS3, ThumbnailEndpoint, rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CALL_SECONDS = 0.03
THUMBNAIL_SECONDS = 0.05
ROUNDS = 5
FRAMES = 600
FILTERS = {
    "label": ("#f-label", "cat 7"),
    "rejected": ("#f-kind", "rejected"),
    "unsure": ("#f-kind", "unsure"),
    "folder": ("#f-folder", "inbox/trip 003/"),
    "lowest score": ("#f-sort", "score-up"),
    "random sample": ("#f-sort", "sample"),
}
SCROLL = """async ([pixels, frames]) => {
  const grid = document.getElementById("gallery");
  grid.scrollTop = 0;
  await new Promise((go) => setTimeout(go, 500));
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 0; frame < frames; frame += 1) {
    grid.scrollTop += pixels;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}"""
FILTER = """async ([selector, value]) => {
  const select = document.querySelector(selector);
  const grid = document.getElementById("gallery");
  const begun = performance.now();
  select.value = value;
  select.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise((go) => setTimeout(go, 0));
  while (grid.hasAttribute("aria-busy")) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - begun;
}"""
FIRST_PICTURE = """async () => {
  const picture = () => document.querySelector(".picture img:not([hidden])");
  while (!picture()) await new Promise(requestAnimationFrame);
  await picture().decode();
  return performance.now();
}"""


@dataclass
class Peak:
    """The largest resident set of a process, in bytes, looked at ten times a second."""

    process: psutil.Process
    bytes: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._ended.wait(0.1):
            self.bytes = max(self.bytes, self.process.memory_info().rss)

    def end(self) -> None:
        self._ended.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--fill", type=int, default=5_000, help="answers to read from the outbox")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.answers)
        return
    figures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        begun = time.perf_counter()
        AnswerIndex(path).put(rows(options.answers))
        figures["answers"] = f"{options.answers:,}"
        figures["put into the index"] = f"{time.perf_counter() - begun:.1f} s"
        figures["index"] = f"{path.stat().st_size / 1e6:.0f} MB"
        with serving(Path(folder), options.answers) as (address, peak):
            figures |= browse(address)
            figures["server, most memory"] = f"{peak.bytes / 1e6:.0f} MB"
    figures |= fill(options.fill)
    table = Table(title=f"The console's gallery, on {psutil.cpu_count()} cores")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for name, figure in figures.items():
        table.add_row(name, figure)
    Terminal().print(table)
    print(f"load average {psutil.getloadavg()[0]:.1f}")


def serve(folder: Path, answers: int) -> None:
    """The server process: it prints its address."""
    s3: Any = ManyAnswersS3(answers, CALL_SECONDS)
    endpoint: Any = ThumbnailEndpoint(THUMBNAIL_SECONDS)
    console = Console(Stage("bench"), Bucket(s3, "bucket"), endpoint, endpoint, endpoint, folder)
    listening = listen(console, "/look")
    print(listening.address, flush=True)
    listening.run()


@contextmanager
def serving(folder: Path, answers: int) -> Iterator[tuple[str, Peak]]:
    command = [sys.executable, "-m", "benchmarks.console", "--serve", str(folder)]
    command += ["--answers", str(answers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        peak = Peak(psutil.Process(process.pid))
        threading.Thread(target=peak.watch, daemon=True).start()
        try:
            yield address, peak
        finally:
            peak.end()
            process.kill()


def browse(address: str) -> dict[str, str]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return {"in the browser": "Chromium is not installed"}
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        figures = first_pictures(browser, address)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(address)
        page.evaluate(FIRST_PICTURE)
        page.wait_for_timeout(8000)  # the outbox is listed meanwhile
        for name, (selector, value) in FILTERS.items():
            figures[f"filter: {name}"] = filter_time(page, address, selector, value)
        page.goto(address)
        page.evaluate(FIRST_PICTURE)
        for name, pixels in (("slowly", 20), ("fast", 400), ("through all", 4000)):
            figures[f"scrolling {name}, frames"] = describe(page.evaluate(SCROLL, [pixels, FRAMES]))
        browser.close()
    return figures


def first_pictures(browser: "Browser", address: str) -> dict[str, str]:
    """From the navigation to the first thumbnail that is decoded, in a browser without a cache."""
    times = []
    for _ in range(ROUNDS):
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        page = context.new_page()
        page.goto(address, wait_until="commit")
        times.append(page.evaluate(FIRST_PICTURE))
        context.close()
    others = statistics.median(times[1:])
    return {"first picture": f"{times[0]:.0f} ms, then {others:.0f} ms (median of {ROUNDS - 1})"}


def filter_time(page: "Page", address: str, selector: str, value: str) -> str:
    """From the choice to the frame that shows its answers."""
    times = []
    for _ in range(ROUNDS):
        page.goto(address)
        page.evaluate(FIRST_PICTURE)
        page.locator(f"{selector} option[value='{value}']").wait_for(state="attached")
        times.append(page.evaluate(FILTER, [selector, value]))
    return f"{statistics.median(times):.0f} ms, at most {max(times):.0f} ms"


def describe(times: list[float]) -> str:
    ranked = sorted(times)
    late = sum(time > 25 for time in times) / len(times)
    at = {share: ranked[int(share * (len(ranked) - 1))] for share in (0.5, 0.95, 0.99)}
    return (
        f"median {at[0.5]:.1f} ms, 95 % {at[0.95]:.1f}, 99 % {at[0.99]:.1f}, "
        f"most {ranked[-1]:.0f}; {late:.1%} late"
    )


def fill(answers: int) -> dict[str, str]:
    """Read an outbox without a table from nothing."""
    s3: Any = ManyAnswersS3(answers, CALL_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        index = AnswerIndex(Path(folder) / FILE)
        begun = time.perf_counter()
        Filling(Bucket(s3, "bucket"), index).run()
        seconds = time.perf_counter() - begun
        assert index.count() == answers
    calls = json.dumps(s3.calls)
    return {f"reading {answers:,} results": f"{answers / seconds:.0f} a second ({calls})"}


if __name__ == "__main__":
    main()
