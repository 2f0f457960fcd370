"""What `ls`, `open` and the index page show of a stage, and which names they understand."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aws.bucket import Bucket
from cli.commands.browse import LISTS
from domain import keys
from domain.scope import Scope
from infra import job_reports
from infra.diagnostics import index_page
from infra.diagnostics.catalog import KINDS, MAX_ROWS, Catalog, folder_names
from infra.diagnostics.inbox_keys import NoSuchKeyError, find_key
from infra.diagnostics.report_pages import NothingToOpenError, find_page
from infra.stage import Stage
from tests.support.fakes.aws import FakeS3

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class SageMaker:
    """Its lists, each in one page."""

    def __init__(self, **lists: list[dict[str, Any]]) -> None:
        self.lists = lists

    def get_paginator(self, operation: str) -> "SageMaker":
        return SageMaker(**{"now": self.lists.get(operation, [])})

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        names = ["TrainingJobSummaries", "HyperParameterTuningJobSummaries"]
        names += ["ModelPackageGroupSummaryList", "ModelPackageSummaryList"]
        yield dict.fromkeys(names, self.lists["now"])


def catalog(s3: FakeS3, **lists: list[dict[str, Any]]) -> Catalog:
    client: Any = s3
    sagemaker: Any = SageMaker(**lists)
    return Catalog(Stage("dev"), Bucket(client, "bucket"), sagemaker)


def put(s3: FakeS3, **documents: Any) -> None:
    for key, document in documents.items():
        s3.put_object(Bucket="bucket", Key=key, Body=json.dumps(document))


def job(name: str, status: str = "Completed") -> dict[str, Any]:
    return {"TrainingJobName": name, "TrainingJobStatus": status, "CreationTime": NOON}


@pytest.fixture
def s3() -> FakeS3:
    s3 = FakeS3()
    trip, beach = Scope("trip/"), Scope("check 1/")
    put(
        s3,
        **{
            "inbox/trip/a.jpg": 1,
            "inbox/check 1/b.jpg": 1,
            "inbox/cat.jpg": 1,
            "inbox/.git/x": 1,
            "outbox/gone.jpg.json": 1,
            keys.folder_file(trip, "_status.json"): {
                "state": "finished",
                "updated_at": "2026-01-01T00:00:00Z",
            },
            keys.folder_file(trip, "_summary.json"): {"images": 3, "classified": 2, "rejected": 1},
            keys.folder_file(trip, "_report.html"): "<html>",
            keys.folder_file(beach, "_status.json"): {
                "state": "running",
                "updated_at": "2026-01-01T00:00:00Z",
            },
        },
    )
    return s3


def test_the_lists_of_the_command_are_those_of_the_catalog() -> None:
    assert tuple(KINDS) == LISTS


def test_folders_have_their_state_and_counts(s3: FakeS3) -> None:
    rows, has_more = catalog(s3).rows("folders")
    assert [(row["folder"], row["state"], row["images"]) for row in rows] == [
        ("check 1/", "running", None),
        ("trip/", "finished", 3),
    ]
    assert not has_more
    assert rows[1]["page"] == "outbox/trip/_report.html"
    assert rows[0]["page"] is None, "a report that is not there is not linked"


def test_a_stage_with_many_folders_says_that_there_are_more() -> None:
    s3 = FakeS3()
    put(s3, **{f"inbox/{number:04}/a.jpg": 1 for number in range(MAX_ROWS + 5)})
    rows, has_more = catalog(s3).rows("folders")
    assert (len(rows), has_more) == (MAX_ROWS, True)


def test_jobs_of_other_stages_are_left_out(s3: FakeS3) -> None:
    """NameContains matches anywhere in a name."""
    listed = catalog(s3, list_training_jobs=[job("sortbox-dev-1"), job("x-sortbox-dev-1")])
    assert [row["job"] for row in listed.rows("jobs")[0]] == ["sortbox-dev-1"]


def test_the_active_model_is_listed_though_no_registry_has_it(s3: FakeS3) -> None:
    put(
        s3,
        **{
            keys.ACTIVE_MODEL: {
                "id": f"imagenet:1:sha256:{'0' * 64}",
                "endpoint": "sortbox-dev",
                "sagemaker_model": "m",
                "activated_at": "2026-01-01T00:00:00Z",
            }
        },
    )
    [row] = catalog(s3).rows("models")[0]
    assert (row["model"], row["status"]) == ("imagenet:1", "active")


def test_the_index_links_what_has_a_report(s3: FakeS3) -> None:
    page = index_page.page(catalog(s3, list_training_jobs=[job("sortbox-dev-1")]))
    assert 'href="outbox/trip/_report.html"' in page
    assert 'href="jobs/sortbox-dev-1/report.html"' in page
    assert "No model is active or registered." in page


def test_a_name_of_a_stranger_is_text_on_the_index() -> None:
    s3 = FakeS3()
    put(s3, **{"inbox/<script>alert(1)<script>/a.jpg": 1})
    assert "<script>alert" not in index_page.page(catalog(s3))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", ""),
        ("inbox/", ""),
        ("inbox/check 1", "inbox/check 1/"),
        ("check 1", "inbox/check 1/"),
        ("trip/", "inbox/trip/"),
        ("inbox/cat.jpg", "inbox/cat.jpg"),
        ("cat.jpg", "inbox/cat.jpg"),
        ("inbox/gone.jpg", "inbox/gone.jpg"),
        ("inbox/trip/a.jpg", "inbox/trip/a.jpg"),
        ("inbox/trip/Thumbs.db", "inbox/trip/Thumbs.db"),
        ("s3://bucket/inbox/trip", "inbox/trip/"),
        ("s3://bucket/inbox/cat.jpg", "inbox/cat.jpg"),
    ],
)
def test_a_key_is_understood_as_a_person_types_it(s3: FakeS3, text: str, key: str) -> None:
    assert find_key(catalog(s3).bucket, text) == key


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("inbox/chek 1", "Did you mean 'inbox/check 1/'?"),
        ("inbox/cta.jpg", "Did you mean 'inbox/cat.jpg'?"),
        ("TRIP", "Did you mean 'inbox/trip/'?"),
        ("s3://other/inbox/cat.jpg", "not in the bucket of this stage, bucket"),
        ("inbox/zzzzzzzz", "`./sortbox ls folders` lists the folders"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_nearest(
    s3: FakeS3, text: str, sentence: str
) -> None:
    with pytest.raises(NoSuchKeyError, match=sentence.replace("?", r"\?")):
        find_key(catalog(s3).bucket, text)


def test_hidden_folders_are_no_folders(s3: FakeS3) -> None:
    assert folder_names(catalog(s3).bucket) == ["check 1/", "trip/"]


def test_open_finds_a_folder_and_says_what_has_no_report_yet(s3: FakeS3) -> None:
    for name in ("trip", "trip/", "inbox/trip/", "outbox/trip"):
        assert find_page(catalog(s3), name) == "outbox/trip/_report.html"
    with pytest.raises(NothingToOpenError, match=r"no report yet: `\./sortbox status inbox/"):
        find_page(catalog(s3), "check 1")
    with pytest.raises(NothingToOpenError, match="Did you mean 'trip'"):
        find_page(catalog(s3), "trp")


def test_open_finds_a_job_whose_reports_are_here(
    s3: FakeS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / job_reports.REPORTS / "sortbox-dev-1"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<html>")
    listed = catalog(s3, list_training_jobs=[job("sortbox-dev-1")])
    assert find_page(listed, "sortbox-dev-1") == "jobs/sortbox-dev-1/report.html"
