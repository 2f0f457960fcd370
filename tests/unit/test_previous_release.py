"""Today's code reads everything that the previous release has stored (tests/fixtures/release)."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from batch.archives.members import ARCHIVE, CONTENT, Origin
from batch.claim import Run
from batch.outcome import from_csv, from_lines, refusals
from batch.planning.slice import Slice, rows_from_text
from console.answers.index import AnswerIndex
from domain import archive, keys, reply, result
from domain.corrections import form
from domain.corrections.coverage import parse_coverage
from domain.ignored.names import DATASET_MANIFEST
from domain.keys import JobName
from domain.model import ActiveModel, ModelCard
from domain.result import Version
from functions.messages import MalformedError, parse_folder, parse_inbox, parse_page
from infra.review import lists
from infra.shipped import REPOSITORY
from tests.support.releases import stored
from tests.support.releases.stored import StoredObject
from training.data.join import version_of

EVERYTHING = [*stored.at_rest(), *stored.under_way()]
RESULT = Draft202012Validator(json.loads((REPOSITORY / "docs/result.schema.json").read_text()))
CORRECTION = Draft202012Validator(
    json.loads((REPOSITORY / "docs/correction.schema.json").read_text())
)


def read_result(each: StoredObject) -> None:
    RESULT.validate(json.loads(each.body))
    read = result.from_json(each.body)
    assert result.to_json(read).encode() == each.body
    assert result.metadata(read) == each.metadata
    assert keys.result_key(read.image) == each.key


def read_archive(each: StoredObject) -> None:
    card = archive.read_model(io.BytesIO(each.body), len(each.body), lambda name, content: None)
    assert card.digest.removeprefix("sha256:") in each.key, "a card keeps its digest, and its key"


def read_pointer(each: StoredObject) -> None:
    assert ActiveModel.from_json(each.body).to_json().encode() == each.body


def read_claim(each: StoredObject) -> None:
    run = Run.from_json(each.body)
    assert keys.claim_key(run.scope.token) == each.key
    assert json.loads(run.to_json()) == json.loads(each.body)


def read_slice(each: StoredObject) -> None:
    assert json.loads(Slice.from_json(each.body).to_json()) == json.loads(each.body)


def read_rows(each: StoredObject) -> None:
    assert all(row.key.startswith(keys.INBOX) for row in rows_from_text(each.body))


def read_manifest(each: StoredObject) -> None:
    prefix, *names = json.loads(each.body)
    assert prefix["prefix"].startswith("s3://")
    assert names


def read_lines(each: StoredObject) -> None:
    assert len(from_lines(each.body.decode())) == each.body.count(b"\n")


def read_output(each: StoredObject) -> None:
    assert isinstance(reply.from_json(each.body), reply.Labelled | reply.Refused)


def read_slot(each: StoredObject) -> None:
    assert JobName.parse(json.loads(each.body)["job"]).stage == "local"


def read_timer(each: StoredObject) -> None:
    assert json.loads(each.body)["nonce"]


def read_sent(each: StoredObject) -> None:
    assert json.loads(each.body) == {"pages": 1}


def read_table(each: StoredObject) -> None:
    lines = each.body.decode().splitlines()
    rows = [line.split(",") for line in lines]
    assert len(list(from_csv(iter(rows)))) == len(lines) - 1, "no row is lost"


def read_errors(each: StoredObject) -> None:
    lines = each.body.decode().splitlines()
    assert len(list(refusals(lines))) == len(lines)


def read_review(each: StoredObject) -> None:
    entries, _ = lists.parse(each.body, each.key)
    assert len(entries) == each.body.count(b"\n") - 1


def read_report(each: StoredObject) -> None:
    assert json.loads(each.body)["schema"] == 1


def read_correction(each: StoredObject) -> None:
    CORRECTION.validate(json.loads(each.body))
    name = form.name_of(each.key)
    assert name is not None
    assert form.to_json(form.from_json(name, each.body)).encode() == each.body


def read_upload(each: StoredObject) -> None:
    if each.metadata:
        origin = Origin("inbox/packed.zip", Version("unknown here"), 0).metadata(each.body)
        assert origin.keys() <= each.metadata.keys()
        assert each.metadata[ARCHIVE] == origin[ARCHIVE], "the archive that it was unpacked from"
        assert each.metadata[CONTENT] == origin[CONTENT]


def read_by_people(each: StoredObject) -> None:
    assert each.body


def read_marker(each: StoredObject) -> None:
    """Only its date counts."""


READERS: dict[str, Callable[[StoredObject], None]] = {
    r"inbox/.*": read_upload,
    r"models/active\.json": read_pointer,
    r"models/.*/model\.tar\.gz": read_archive,
    r"training/corrections/.*": read_correction,
    r"work/claims/.*": read_claim,
    r"work/beats/.*\.json": read_timer,
    r"work/beats/.*\.waiting": read_marker,
    r"work/slots/.*": read_slot,
    r"work/runs/.*/slices/.*": read_slice,
    r"work/runs/.*/plans/.*\.jsonl": read_rows,
    r"work/runs/.*/plans/.*\.manifest": read_manifest,
    r"work/runs/.*/output/.*\.out": read_output,
    r"work/runs/.*/progress/.*-sent": read_sent,
    r"work/runs/.*/progress/.*\.jsonl": read_lines,
    r"work/renewed/.*": read_lines,
    r"outbox/.*/(_status|_summary)\.json|outbox/_archives/.*": read_report,
    r"outbox/.*/predictions\.csv": read_table,
    r"outbox/.*/errors\.jsonl": read_errors,
    r"outbox/_review/.*": read_review,
    r"outbox/.*\.html|outbox/_reclassify/.*/flips\.csv": read_by_people,
    r"outbox/(?!_archives/)(?!.*/_s).*\.json": read_result,
}


@pytest.mark.parametrize("pattern", READERS)
def test_every_object_of_the_bucket_is_read(pattern: str) -> None:
    found = [each for each in EVERYTHING if re.fullmatch(pattern, each.key)]
    assert found, "the fixture has an object of each kind"
    for each in found:
        READERS[pattern](each)


def test_no_object_of_the_bucket_is_left_out() -> None:
    unread = {
        each.key
        for each in EVERYTHING
        if sum(bool(re.fullmatch(pattern, each.key)) for pattern in READERS) != 1
    }
    assert not unread, "each object has one reader"


def test_every_message_in_a_queue_is_read() -> None:
    for body in stored.stage()["messages"]:
        assert [message for message in map(read_message(body), PARSERS) if message], body


PARSERS: tuple[Callable[[str], Any], ...] = (
    parse_inbox,
    lambda body: parse_folder(body, "local"),
    parse_page,
)


def read_message(body: str) -> Callable[[Callable[[str], Any]], Any]:
    def read(parser: Callable[[str], Any]) -> Any:
        try:
            return parser(body)
        except MalformedError:
            return None

    return read


def test_a_card_keeps_its_digest() -> None:
    text = stored.files()["files/card.json"].decode()
    assert ModelCard.from_json(text).to_json() == text, "or the active model would be another one"


def test_a_data_sets_manifest_is_read(tmp_path: Path) -> None:
    manifest = stored.files()["files/manifest.json"]
    (tmp_path / DATASET_MANIFEST).write_bytes(manifest)
    assert version_of(tmp_path) == 2
    assert parse_coverage(json.loads(manifest)) == ()


def test_the_consoles_index_is_used_or_made_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.write_bytes(stored.files()["files/answers.db"])
    assert AnswerIndex(path).count() in (0, 12), "it is a cache"
