"""Where the console begins, and what it says of that which is not there."""

from pathlib import Path

import pytest

from console.web.app import HOME
from console.web.rendering import NAVIGATION
from tests.support.worlds.consoles import client, mocked_console


def test_the_console_begins_where_images_are_dropped(tmp_path: Path) -> None:
    with mocked_console(tmp_path / "console") as console:
        answer = client(console).get("/")
        assert (answer.status_code, answer.headers["location"]) == (303, HOME)
    assert HOME in dict(NAVIGATION)


@pytest.mark.parametrize("path", ["/nowhere", "/static/nothing.js", "/static/../context.py"])
def test_what_is_not_there_is_a_page_that_says_so(tmp_path: Path, path: str) -> None:
    with mocked_console(tmp_path / "console") as console:
        answer = client(console).get(path)
        assert answer.status_code == 404
        assert "no such page" in answer.text
        assert 'aria-label="Pages"' in answer.text, "and leads on"


def test_an_interface_for_scripts_answers_in_json(tmp_path: Path) -> None:
    with mocked_console(tmp_path / "console") as console:
        answer = client(console).get("/api/nowhere")
        assert (answer.status_code, answer.json()) == (404, {"error": "There is no such page."})
