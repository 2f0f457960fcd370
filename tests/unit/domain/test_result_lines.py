"""Answers are lines of JSON, which SQL engines read as docs/how-to/query.md says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from domain.model import ModelId
from domain.reply import Label
from domain.result import AnsweredBy, Classified, How, Previous, Rejected, Result, Source, to_json

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "docs/how-to/query.md"
SCHEMA: dict[str, Any] = json.loads((REPOSITORY / "docs/result.schema.json").read_text())

MODEL = ModelId("pets", 3, f"sha256:{'a' * 64}")
HOW = How("batch", "job", 1, "2026-11-22T14:49:14Z")


def classified(image: str, label: str, previous: Previous | None = None) -> Classified:
    source = Source("bucket", "e" * 32, "v1", 10)
    labels = (Label(label, 0.5), Label("cat", 0.25))
    by = AnsweredBy(MODEL, f"sha256:{'b' * 64}")
    return Classified(image, source, by, HOW, labels, 4, 3, "jpeg", 19.1, previous)


def rejected(image: str) -> Rejected:
    source = Source("bucket", "e" * 32, None, 0)
    return Rejected(image, source, None, How("endpoint", None, 1, HOW.at), "empty", "no bytes")


RESULTS: dict[str, Result] = {
    "cat.jpg": classified("inbox/cat.jpg", "パンツ"),
    "trip/a\u2028\nb.jpg": classified("inbox/trip/a\u2028\nb.jpg", 'a "Käfig"\r\n\x85'),
    "trip/_MG_1.JPG": rejected("inbox/trip/_MG_1.JPG"),
    "trip/dog.jpg": classified("inbox/trip/dog.jpg", "パンツ", Previous(MODEL, Label("cat", 0.3))),
}


@pytest.mark.parametrize("name", RESULTS, ids=["cat", "breaks", "rejected", "previous"])
def test_an_answer_is_one_line(name: str) -> None:
    text = to_json(RESULTS[name])
    assert text.endswith("}\n")
    assert (text.count("\n"), text.count("\r")) == (1, 0)
    assert json.loads(text)["image"] == RESULTS[name].image


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """Answers beside everything else that lies in an outbox."""
    for name, result in RESULTS.items():
        path = tmp_path / "outbox" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_json(result))
    folder = tmp_path / "outbox/trip"
    (folder / "_summary.json").write_text(json.dumps({"schema": 1, "images": 3}, indent=1))
    (folder / "_status.json").write_text(json.dumps({"schema": 1, "state": "done"}, indent=1))
    (folder / "predictions.csv").write_text("\ufeffimage,label\r\ninbox/trip/dog.jpg,dog\r\n")
    (folder / "errors.jsonl").write_text('{"image": "inbox/trip/_MG_1.JPG", "code": "empty"}\n')
    return tmp_path


def statements(engine: str) -> list[str]:
    section = PAGE.read_text().partition(f"## {engine}\n")[2]
    found = re.search(r"```sql\n(.+?)```", section, re.DOTALL)
    assert found is not None
    return [statement for statement in found[1].split(";") if statement.strip()]


def test_duckdb_reads_the_outbox_by_the_documented_lines(
    outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    monkeypatch.chdir(outbox)
    view, query = statements("DuckDB")
    database = duckdb.connect()
    database.execute(view)
    rows = database.execute("SELECT image, code, job FROM answers ORDER BY image").fetchall()
    assert sorted(rows) == sorted(
        (result.image, getattr(result, "code", None), result.how.job) for result in RESULTS.values()
    )
    assert database.execute(query).fetchall() == [("パンツ", 2, 0.5), ('a "Käfig"\r\n\x85', 1, 0.5)]


@pytest.mark.parametrize("engine", ["DuckDB", "Athena"])
def test_the_documented_columns_are_those_of_a_result(engine: str) -> None:
    text = re.sub(r"[`'\"]", "", statements(engine)[0])
    model = SCHEMA["$defs"]["model"]["properties"]
    fields = {
        "labels": SCHEMA["properties"]["labels"]["items"]["properties"],
        "model": model,
        "source": SCHEMA["properties"]["source"]["properties"],
    }
    for column, inner in fields.items():
        members = re.search(rf"\b{column}\W+(?:array<)?struct[<(](.+?)[>)]", text, re.IGNORECASE)
        assert members is not None
        names = [re.split(r"[: ]", member.strip())[0] for member in members[1].split(",")]
        assert names == list(inner)
    table = re.sub(r"(?i)struct[<(].+?[>)]", "", text)
    for column in set(SCHEMA["properties"]) - {"previous", "schema"}:
        assert re.search(rf"\b{column}\b", table), column
