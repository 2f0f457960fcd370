"""Every page that people read, in Chromium: axe-core finds nothing serious, and tables sort.

Light and dark, on a desk and on a phone. axe-core is installed by `make axe`; in the copies that
are tested here the page's policy names it, and what it does not check is looked at by people.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.shipped import REPOSITORY
from tests.support.builders.sample_pages import sample_pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = REPOSITORY / ".local" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = {"serious", "critical"}
PAGES = ("folder", "change", "training", "debug", "profiler", "search", "verify", "index")
LOOKS = {"light": (1400, ()), "dark phone": (390, ("--blink-settings=preferredColorScheme=0",))}
PROBE = """
<pre id="answer"></pre>
<script>
const click = (table, column) => table.rows[0].cells[column].querySelector("button").click();
const column = (table, at) =>
  [...table.rows].slice(1).map((row) => row.cells[at].textContent.trim());
// Words of up to 20 characters that are broken within a cell of a table.
const broken = () => {
  const found = [], range = document.createRange();
  for (const cell of document.querySelectorAll("td, th")) {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode()); )
      for (const word of node.data.matchAll(/\\b[a-z0-9]{2,20}\\b/gi)) {
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
        if (lines.size > 1) found.push(word[0]);
      }
  }
  return found;
};
addEventListener("load", async () => {
  const table = document.querySelector("th button")?.closest("table");
  const sorted = [];
  if (table) for (const turn of [1, 2]) { click(table, 0); sorted.push(column(table, 0)); }
  const { violations } = await axe.run();
  const found = violations.map(({ id, impact, nodes }) =>
    ({ id, impact, nodes: nodes.slice(0, 3).map((node) => node.html.slice(0, 200)) }));
  const ground = getComputedStyle(document.body).backgroundColor;
  const wide = document.documentElement.scrollWidth > innerWidth;
  document.getElementById("answer").textContent = 
    JSON.stringify({ found, ground, sorted, wide, broken: broken() });
});
</script>
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(not AXE.exists(), reason="`make axe` installs what judges the pages"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return sample_pages(tmp_path_factory.mktemp("pages"))


def judge(page: str, folder: Path, look: str) -> dict[str, Any]:
    """What axe-core and the probe say of a page, which is opened from the disk."""
    width, flags = LOOKS[look]
    text = re.sub(r"; script-src '[^']*'", "; script-src 'unsafe-inline' file:", page)
    text = text.replace("</body>", f'<script src="{AXE.as_uri()}"></script>{PROBE}</body>')
    path = folder / "page.html"
    path.write_text(text)
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--allow-file-access-from-files", *flags),
        *(f"--window-size={width},900", f"--user-data-dir={folder / 'profile'}"),
        *("--virtual-time-budget=20000", "--dump-dom", path.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    [answer] = re.findall(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    judged: dict[str, Any] = json.loads(html.unescape(answer))
    return judged


def test_every_page_is_among_the_samples(pages: dict[str, str]) -> None:
    assert set(pages) == set(PAGES)
    templates = (REPOSITORY / "pages" / "templates").glob("*/*.jinja")
    whole = {path for path in templates if "base.html.jinja" in path.read_text()}
    assert len(whole) == len(PAGES), "a new page is judged too"


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_serious_is_found(
    pages: dict[str, str], name: str, look: str, tmp_path: Path
) -> None:
    judged = judge(pages[name], tmp_path, look)
    serious = [one for one in judged["found"] if one["impact"] in SERIOUS]
    assert not serious, json.dumps(serious, indent=1)
    assert not judged["wide"], "the page itself scrolls sideways: a part of it is too wide"
    assert not judged["broken"], "a table that is too wide scrolls; its words stay whole"
    dark = judged["ground"] != "rgb(255, 255, 255)"
    assert dark == look.startswith("dark")


def test_what_is_wrong_is_found(pages: dict[str, str], tmp_path: Path) -> None:
    wrong = '<p style="color:#eee;background:#fff">pale</p><img src="data:,">'
    judged = judge(pages["index"].replace("<h1>", f"{wrong}<h1>"), tmp_path, "light")
    assert {"color-contrast", "image-alt"} <= {one["id"] for one in judged["found"]}


def test_a_table_is_sorted_by_a_click_and_back_by_the_next(
    pages: dict[str, str], tmp_path: Path
) -> None:
    up, down = judge(pages["index"], tmp_path, "light")["sorted"]
    names = [f"trip {number}/" for number in range(12)]
    assert up == names, "by number, not by letter: 2 before 10"
    assert down == names[::-1]
