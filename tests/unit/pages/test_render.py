"""Templates that escape, and pages that stay within their room."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from pages.render import TEMPLATES, fitting, foreign, render


def test_a_text_has_its_own_direction_and_no_control_characters() -> None:
    assert foreign("\u202ea\n") == "<bdi>\\u202ea\\u000a</bdi>"
    assert foreign("שלום") == "<bdi>שלום</bdi>"
    assert foreign("<b>&") == "<bdi>&lt;b&gt;&amp;</bdi>"


def test_a_long_text_is_shown_by_its_beginning_and_its_end() -> None:
    shown = foreign("a" * 500 + "z" * 500)
    assert len(shown) < 200
    assert "a…z" in shown


def test_no_template_calls_anything_safe_or_ends_the_escaping() -> None:
    for template in TEMPLATES.rglob("*.jinja"):
        text = template.read_text()
        assert not re.search(r"\|\s*safe|Markup", text), template.name
        assert "autoescape" not in text, template.name


def test_the_one_script_of_a_page_is_the_one_that_its_policy_names() -> None:
    page = render("runs/index.html.jinja", title="t", made_at="now", lists=[])
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page, "the browser would not run it"


def test_a_value_that_is_missing_is_an_error_and_no_blank() -> None:
    with pytest.raises(UndefinedError):
        render("runs/folder.html.jinja")


def test_no_more_is_made_than_fits() -> None:
    made = []

    def fragments() -> Iterator[Markup]:
        for each in range(10):
            made.append(each)
            yield Markup("ä")

    assert fitting(fragments(), 5) == ["ä", "ä"], "two bytes each"
    assert made == [0, 1, 2]
