"""The page of models: what is active, what was, what may follow, and what a rollback does."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from console.context import Console
from console.models.versions import VersionFacts, Versions, data_of, final_metrics
from domain import keys
from domain.corrections.form import Correction, to_json
from domain.ignored.names import DATASET_MANIFEST
from infra.review.stored import CorrectionStore
from tests.support.consoles.operated import DATA, IMAGE, JOB, operated_console
from tests.support.worlds.consoles import BUCKET, client

MANIFEST = f"{DATA.removeprefix(f's3://{BUCKET}/')}{DATASET_MANIFEST}"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with operated_console(tmp_path / "console") as console:
        yield console


def register(console: Console, made_by: str) -> None:
    """dogs:1 and dogs:2, both by the job."""
    sagemaker = console.sagemaker
    sagemaker.create_model_package_group(ModelPackageGroupName="sortbox-dev-dogs")
    for accuracy in ("0.812500", "0.937500"):
        sagemaker.create_model_package(
            ModelPackageGroupName="sortbox-dev-dogs",
            ModelApprovalStatus="Approved",
            InferenceSpecification={
                "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}],
                "SupportedContentTypes": ["image/jpeg"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            MetadataProperties={"GeneratedBy": made_by},
            CustomerMetadataProperties={"accuracy": accuracy, "dataset": "0123abcd" * 8},
        )


def test_what_is_active_and_what_a_rollback_does_are_said(console: Console) -> None:
    text = client(console).get("/models").text
    assert "Active: <b><bdi>dogs:2</bdi></b> since <time" in text
    assert "2026-11-22T09:00:00Z</time>" in text
    assert "Roll back to dogs:1" in text
    assert "dogs:1 becomes active again, in place of dogs:2. What dogs:2 has answered" in text
    assert JOB in text, "a completed job may be promoted"


def test_every_move_of_the_pointer_is_listed(console: Console) -> None:
    text = client(console).get("/models").text
    history = text[text.index("Which model was active when") :]
    assert history.index("dogs:2") < history.index("dogs:1"), "the newest first"


def test_versions_have_their_accuracies_and_where_they_come_from(console: Console) -> None:
    register(console, f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{JOB}")
    rows, has_more = Versions(console).rows()
    assert not has_more
    assert [(row["model"], facts.served, facts.job, facts.data) for row, facts in rows] == [
        ("dogs:2", "0.9375", JOB, DATA),
        ("dogs:1", "0.8125", JOB, DATA),
    ]
    text = client(console).get("/models").text
    assert "0.9375" in text
    assert f"/train?job={JOB}" in text


def test_the_data_of_the_active_model_are_those_of_its_job(console: Console) -> None:
    assert Versions(console).active_facts() == VersionFacts(), "the registry is empty"
    register(console, f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{JOB}")
    assert Versions(console).active_facts().data == DATA
    assert f'value="{DATA}"' in client(console).get("/train").text


@pytest.mark.parametrize("text", ['{"corrections": [1]}', "[]", "no JSON", '{"version": 2}'])
def test_a_manifest_that_records_no_corrections_covers_none(console: Console, text: str) -> None:
    register(console, f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{JOB}")
    assert Versions(console).coverage_of(DATA) == (), "there is no manifest"
    console.bucket.put(MANIFEST, text.encode())
    assert Versions(console).coverage_of(DATA) == ()


def test_corrections_in_the_data_of_the_active_model_are_not_new(console: Console) -> None:
    register(console, f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{JOB}")
    for number in range(2):
        name = f"20261128T120000.000-{number:016x}"
        one = Correction(name, f"inbox/{number}.jpg", "e", "cat", "dog", "ann", None)
        console.bucket.put(one.key, to_json(one))
    text = " ".join(client(console).get("/train").text.split())
    assert "Not in the data of the active model yet: <b>2</b>" in text
    store = CorrectionStore(console.bucket, console.folder)
    store.refresh()
    covered = store.coverage()
    assert covered is not None
    console.bucket.put(MANIFEST, json.dumps({"corrections": [covered.to_document()]}).encode())
    assert Versions(console).coverage_of(DATA) == (covered,)
    text = " ".join(client(console).get("/train").text.split())
    assert "Not in the data of the active model yet: <b>0</b>" in text
    assert "cannot be learnt" not in text
    left_out = replace(covered, left_out=1).to_document()
    console.bucket.put(MANIFEST, json.dumps({"corrections": [left_out]}).encode())
    text = " ".join(client(console).get("/train").text.split())
    assert "1 cannot be learnt, because their images are in validation or test." in text
    assert "cannot be learnt" in client(console).get("/corrections").text


def test_a_model_from_an_archive_and_a_forgotten_job_have_no_data(console: Console) -> None:
    register(console, "model.tar.gz")
    assert Versions(console).active_facts() == VersionFacts(served="0.9375", dataset="0123abcd" * 8)
    assert data_of({}) == ""
    assert final_metrics({}) == {}


def test_without_a_model_the_page_says_what_to_do(console: Console) -> None:
    console.bucket.client.delete_object(Bucket=BUCKET, Key=keys.ACTIVE_MODEL)
    text = client(console).get("/models").text
    assert "No model is active" in text
    assert "Roll back" not in text


def test_a_read_only_page_has_no_buttons(tmp_path: Path) -> None:
    with operated_console(tmp_path / "console", read_only=True) as console:
        for path in ("/models", "/train", "/operate", f"/train?job={JOB}"):
            text = client(console).get(path).text
            assert "data-verb" not in text, path
            assert 'id="promote"' not in text, path
            assert 'id="train"' not in text, path
