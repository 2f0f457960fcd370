"""Names and labels that would be markup, or worse, if a page did not escape them."""

import re
from html.parser import HTMLParser

from pages.render import TEMPLATES

HOSTILE = [
    "<script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(1)>.jpg',
    "'onmouseover='alert(1).jpg",
    "javascript:alert(1).jpg",
    "\u202egpj.exe\u202c and more.jpg",
    "שלום עולם.jpg",
    "مرحبا بالعالم.jpg",
    "line\nbreak\ttab\x00null\u2028.jpg",
    "100% &amp; #fragment?query=1;.jpg",
    "</style></bdi></body>.jpg",
    "猫 \U0001f600 é.jpg",
    "w" * 1000 + ".jpg",
    "{{7*7}}${7*7}.jpg",
]

SCRIPT = (TEMPLATES / "tables.js.jinja").read_text()
PAGES = "report|debug|ProfilerReport/profiler-output/profiler-report"
OWN_LINK = rf"""<a href="(\.\./\.\./)?({PAGES})\.html">"""


def foreign_markup(page: str) -> str:
    """The page less our own script, which it has once, and the links among a job's reports."""
    assert page.count(SCRIPT) == 1
    return re.sub(OWN_LINK, "", page.replace(f"<script>{SCRIPT}</script>", ""))


ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "span", "b", "br"),
    *("table", "tr", "th", "td", "bdi", "a", "img", "main", "script"),
}


class Page(HTMLParser):
    """What a browser would make of a page: its tags, attributes, links and texts."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.sources += [value or "" for name, value in attrs if name == "src"]
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} ends what it did not begin"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)

    def check(self) -> None:
        assert self.open == []
        assert self.tags <= ALLOWED, self.tags - ALLOWED
        assert not {name for name in self.attributes if name.startswith("on")}
        assert self.scripts == [SCRIPT], "ours and no other"
        assert all(link.startswith("../") for link in self.links)
        assert all(source.startswith("data:image/jpeg;base64,") for source in self.sources)
