"""Names say what a value is: no participles, and no constants without a noun and a unit."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

CLEAN = (
    *("aws", "batch", "benchmarks", "cli", "docs", "domain", "functions", "infra", "pages"),
    *("serving", "training", "tests/support"),
)
"""Packages that keep to it. Add one once its names are cleaned, and never take one out."""

PARTICIPLES = frozenset({"told", "asked", "said", "wanted", "given", "found", "each", "seen"})
"""As names of values, parameters, attributes and functions: they say how a value came, not what
it is."""

BARE_CONSTANTS = frozenset(
    {"AT_ONCE", "LOOK_SECONDS", "MOST", "FEW", "FEWEST", "ENOUGH", "LONGEST", "SLOW", "BUSY"}
    | {"WARM", "LARGE", "SMALLEST", "NAMED", "SHOWN", "DRAWN", "JUDGED", "LOST", "AGREED"}
)
"""`HEADS_AT_ONCE` and `POLL_SECONDS` say of what; these do not."""

STOP_LIST = PARTICIPLES | BARE_CONSTANTS


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that a module binds, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name.lower()
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield 0, name


def offenders(source: str) -> list[str]:
    return [
        f"{line}: {name}" for line, name in names(ast.parse(source)) if name.strip("_") in STOP_LIST
    ]


@pytest.mark.parametrize("package", CLEAN)
def test_names_are_nouns_and_verbs(package: str) -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{offender}"
        for path in sorted((REPOSITORY / package).rglob("*.py"))
        for offender in offenders(path.read_text())
    ]
    assert not found, "name what the value is, not how it came:\n" + "\n".join(found)


def test_a_class_name_means_one_thing() -> None:
    """A class that has the name of another one is named by what it is in its own package."""
    modules: dict[str, list[str]] = {}
    for package in (name for name in CLEAN if not name.startswith("tests/")):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    modules.setdefault(node.name, []).append(str(path.relative_to(REPOSITORY)))
    shared = {name: paths for name, paths in modules.items() if len(paths) > 1}
    assert not shared, f"give each class a name of its own: {shared}"


@pytest.mark.parametrize(
    "source",
    [
        "found = 1",
        "def f(told): ...",
        "def asked(): ...",
        "class Asked: ...",
        "[x for each in y]",
        "self.seen = 1",
        "with a as given: ...",
        "_told: int = 1",
        "AT_ONCE = 32",
        "import a as said",
    ],
)
def test_what_is_on_the_list_is_noticed(source: str) -> None:
    assert offenders(source)


@pytest.mark.parametrize("source", ["HEADS_AT_ONCE = 32", "f(found=1)", "x.told", "'asked'"])
def test_what_others_named_is_not_held_against_a_package(source: str) -> None:
    assert not offenders(source)
