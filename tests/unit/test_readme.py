"""The README promises only what is there."""

import re
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from cli.__main__ import sortbox
from infra.local.place import REPOSITORY
from tests.support.worlds.readme import blocks, commands, links

TARGETS = set(
    re.findall(r"^([a-z][a-z0-9 -]*):", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
)
HELP = sortbox.context_settings["help_option_names"]
VERBS = {verb for target in TARGETS for verb in target.split()}


def test_every_make_verb_exists() -> None:
    verbs = {found[1] for line in commands() if (found := re.match(r"make ([a-z-]+)", line))}
    assert {"demo", "test"} <= verbs
    assert verbs <= VERBS, f"the README names verbs that make does not know: {verbs - VERBS}"


DOCUMENTS = (
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_option_that_is_shown_exists(document: Path) -> None:
    shown = re.findall(r"\./sortbox ([a-z]+)((?: +[^\s#`]+)*)", document.read_text())
    for name, words in shown:
        command = sortbox.commands.get(name)
        assert command is not None, f"{document.name} names a command that is not there: {name}"
        # A command keeps the option for help of its first context: with the names of the group.
        context = click.Context(command, help_option_names=HELP)
        known = {option for parameter in command.get_params(context) for option in parameter.opts}
        unknown = set(re.findall(r"(?<=\s)--[a-z-]+", words)) - known - {"--help"}
        assert not unknown, f"{document.name}: {name} has no option {unknown}"


def test_the_readme_shows_the_commands_that_a_beginner_needs() -> None:
    shown = {found[1] for line in commands() if (found := re.match(r"\./sortbox ([a-z]+)", line))}
    assert {"up", "status", "train", "tune", "promote", "rollback", "deploy", "remove"} <= shown


def test_every_module_that_is_run_exists() -> None:
    modules = {module for line in commands() for module in re.findall(r"python -m (\S+)", line)}
    missing = {module for module in modules if find_spec(module) is None}
    assert not missing, f"the README runs modules that do not exist: {missing}"


def test_every_link_leads_somewhere() -> None:
    missing = [link for link in links() if not (REPOSITORY / link.partition("#")[0]).exists()]
    assert links()
    assert not missing, f"the README points at what does not exist: {missing}"


def test_every_piece_of_python_can_be_read() -> None:
    assert blocks("python")
    for block in blocks("python"):
        compile(block, "README.md", "exec")


def test_nothing_tells_people_to_use_a_verb_of_make_that_is_gone() -> None:
    """Alarms and error messages are read at the worst of times."""
    users = "|".join(sorted(set(sortbox.commands) - {"demo"}))
    told = re.compile(rf"`make ({users})(?![\w-])")
    places = [
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob("infra/**/*.yml"),
        *(
            path
            for room in ("cli", "infra", "training")
            for path in REPOSITORY.glob(f"{room}/**/*.py")
        ),
        REPOSITORY / "serverless.yml",
        REPOSITORY / "README.md",
    ]
    found = {
        f"{path.relative_to(REPOSITORY)}: {match[0]}"
        for path in places
        for match in told.finditer(path.read_text())
    }
    assert not found
