"""The documentation says what is: generated pages are current, named objects and links exist."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from docs import generate

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ROOT_PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
LEAST_RULES = 30


def test_generated_pages_are_current() -> None:
    stale = [
        path.relative_to(REPOSITORY).as_posix()
        for path, text in generate.pages().items()
        if not path.exists() or path.read_text() != text
    ]
    assert not stale, "run `.venv/bin/python -m docs.generate` and commit what it writes"


def rules() -> dict[str, list[str]]:
    """The table "Where is the rule?": each rule with the objects that hold it."""
    text = (DOCS / "architecture.md").read_text().partition("## Where is the rule?")[2]
    rows = re.findall(r"^\| (.+?) \| (`.+`) \|$", text, re.MULTILINE)
    return {rule: re.findall(r"`([^`]+)`", homes) for rule, homes in rows}


@cache
def names(path: Path) -> frozenset[str]:
    """What a module defines at its top level, and `Class.member` of its classes."""
    return frozenset(_defined(ast.parse(path.read_text()).body, ""))


def _defined(body: list[ast.stmt], within: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield within + name
            case ast.ClassDef(name=name):
                yield within + name
                yield from _defined(node.body, f"{within}{name}.")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield within + name


def exists(home: str) -> bool:
    module, _, name = home.partition(":")
    path = REPOSITORY / f"{module.replace('.', '/')}.py"
    return path.is_file() and name in names(path)


def test_every_rule_is_where_the_table_says() -> None:
    table = rules()
    assert len(table) >= LEAST_RULES
    missing = {rule: home for rule, homes in table.items() for home in homes if not exists(home)}
    assert not missing, "docs/architecture.md, 'Where is the rule?': name the new home"


def test_a_rule_whose_home_is_gone_is_noticed() -> None:
    assert exists("domain.route:route")
    assert not exists("domain.route:roads")
    assert not exists("domain.roads:route")


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Path and anchor of every link of a page that leads to a file of ours."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, *ROOT_PAGES], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {path}#{anchor}"


def test_every_page_is_in_the_navigation() -> None:
    nav = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"]
    listed = set(re.findall(r"[\w/-]+\.md", str(nav)))
    decisions = {
        f"decisions/{path.name}" for path in DOCS.glob("decisions/*.md") if path.name != "index.md"
    }
    assert {page.relative_to(DOCS).as_posix() for page in PAGES} - decisions == listed


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [path.name[:5] for path in sorted(DOCS.glob("decisions/*.md"))]
    expected = [f"{number:04}-" for number in range(1, len(numbers))]
    assert numbers == [*expected, "index"]


def test_pages_load_nothing_from_a_network() -> None:
    """What a page shows comes with it; links that a person follows are another matter."""
    text = "\n".join(page.read_text() for page in PAGES)
    assert not re.findall(r"!\[[^\]]*\]\(https?:[^)]*\)|(?:src|href)=\"https?:[^\"]*", text)
    settings = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())
    assert settings["theme"]["font"] is False
    assert not [name for name in settings["extra_css"] if "://" in name]
    assert "extra_javascript" not in settings
