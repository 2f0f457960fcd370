"""Folders through the deployed cloud: ready, late, stopped half way, failed, side by side."""

import csv
import io
import json

import pytest

from tests.flow.conftest import Knobs
from tests.flow.support.drive import Cloud, code, eventually, label_of, top_label

pytestmark = pytest.mark.flow


def fill(cloud: Cloud, folder: str, names: list[str]) -> dict[str, bytes]:
    """Drops one image a name, whose bytes are its key; returns key -> bytes."""
    images = {f"inbox/{folder}/{name}": f"{folder}/{name}".encode() for name in names}
    for key, body in images.items():
        cloud.drop(key, body)
    return images


def photos(count: int) -> list[str]:
    return [f"{number:03}.jpg" for number in range(count)]


def ready(cloud: Cloud, folder: str) -> None:
    cloud.drop(f"inbox/{folder}/_READY")


def labels(cloud: Cloud, images: dict[str, bytes]) -> dict[str, str | None]:
    return {key: _label(cloud, key) for key in images}


def _label(cloud: Cloud, key: str) -> str | None:
    answer = cloud.answer(key)
    return top_label(answer) if answer else None


def right(images: dict[str, bytes]) -> dict[str, str]:
    return {key: label_of(body) for key, body in images.items()}


def test_a_folder_marked_ready_is_answered_by_one_transform_job(cloud: Cloud) -> None:
    images = fill(cloud, "ready", photos(12))
    ready(cloud, "ready")
    status = cloud.ended("ready")
    assert labels(cloud, images) == right(images)
    assert len(cloud.jobs("ready")) == 1
    assert cloud.answered("inbox/ready/000.jpg").how.route == "batch"
    summary = cloud.summary("ready")
    assert (summary["images"], summary["classified"], summary["rejected"]) == (12, 12, 0)
    assert status["run"]


def test_a_folder_that_has_gone_quiet_starts_by_itself(cloud: Cloud) -> None:
    images = fill(cloud, "quiet", ["day 1/a.jpg", "day 2/b.jpg", "c.jpg"])
    cloud.ended("quiet")
    assert labels(cloud, images) == right(images)


def test_the_ready_marker_and_the_quiet_timer_together_start_one_run(cloud: Cloud) -> None:
    images = fill(cloud, "both", photos(5))
    ready(cloud, "both")
    ready(cloud, "both")
    cloud.ended("both")
    cloud.at_rest()
    assert labels(cloud, images) == right(images)
    assert len(cloud.jobs("both")) == 1


def test_a_late_image_is_answered_by_the_endpoint_and_joins_the_table(cloud: Cloud) -> None:
    images = fill(cloud, "late", photos(4))
    ready(cloud, "late")
    first = cloud.ended("late")
    images |= fill(cloud, "late", ["zz late.jpg"])
    assert cloud.answered("inbox/late/zz late.jpg").how.route == "endpoint"
    cloud.ended("late", after=first["run"])
    assert len(cloud.jobs("late")) == 1
    assert [row["image"] for row in table(cloud, "late")] == sorted(images)


def test_an_image_that_comes_while_its_folder_runs_is_answered(cloud: Cloud, knobs: Knobs) -> None:
    knobs.set(delay_ms=300)
    images = fill(cloud, "meanwhile", photos(6))
    ready(cloud, "meanwhile")
    cloud.job("meanwhile", "InProgress")
    images |= fill(cloud, "meanwhile", ["000 early in the alphabet.jpg"])
    knobs.set()
    for key, body in images.items():
        assert cloud.label(key) == label_of(body)


def test_an_image_overwritten_while_its_folder_runs_is_answered_as_it_is_now(
    cloud: Cloud, knobs: Knobs
) -> None:
    knobs.set(delay_ms=300)
    fill(cloud, "rewritten", photos(6))
    ready(cloud, "rewritten")
    eventually(lambda: knobs.seen(b"rewritten/000.jpg") or None, "the first version at the model")
    etag = cloud.drop("inbox/rewritten/000.jpg", b"rewritten")
    knobs.set()
    assert cloud.label("inbox/rewritten/000.jpg", etag) == label_of(b"rewritten")
    cloud.at_rest()
    assert cloud.label("inbox/rewritten/000.jpg", etag) == label_of(b"rewritten")


def test_a_deleted_image_leaves_its_folder_s_answers_and_table(cloud: Cloud) -> None:
    fill(cloud, "shrinking", photos(3))
    ready(cloud, "shrinking")
    first = cloud.ended("shrinking")
    cloud.remove("inbox/shrinking/001.jpg")
    cloud.unanswered("inbox/shrinking/001.jpg")
    cloud.ended("shrinking", after=first["run"])
    rows = [row["image"] for row in table(cloud, "shrinking")]
    assert rows == ["inbox/shrinking/000.jpg", "inbox/shrinking/002.jpg"]


def test_one_broken_image_in_thirty_is_rejected_and_the_others_are_answered(cloud: Cloud) -> None:
    images = fill(cloud, "mixed", photos(29))
    cloud.drop("inbox/mixed/broken.jpg", b"BAD")
    cloud.drop("inbox/mixed/.DS_Store", b"hidden")
    ready(cloud, "mixed")
    cloud.ended("mixed")
    assert labels(cloud, images) == right(images)
    broken = cloud.answered("inbox/mixed/broken.jpg")
    assert code(broken) == "not_an_image"
    summary = cloud.summary("mixed")
    assert (summary["classified"], summary["rejected"]) == (29, 1)
    assert summary["ignored"] >= 1
    assert len(cloud.jobs("mixed")) == 1
    errors = cloud.folder_file("mixed", "errors.jsonl") or b""
    assert [json.loads(line)["image"] for line in errors.splitlines()] == ["inbox/mixed/broken.jpg"]
    assert len(table(cloud, "mixed")) == 29


def test_a_job_that_is_stopped_half_way_loses_nothing(cloud: Cloud, knobs: Knobs) -> None:
    knobs.set(delay_ms=200)
    images = fill(cloud, "stopped", photos(20))
    ready(cloud, "stopped")
    job = cloud.job("stopped", "InProgress")
    eventually(lambda: knobs.seen(b"stopped/000.jpg") or None, "the job at work")
    cloud.sagemaker.stop_transform_job(TransformJobName=job)
    cloud.job("stopped", "Stopped")
    knobs.set()
    cloud.ended("stopped")
    assert labels(cloud, images) == right(images)
    assert len(cloud.jobs("stopped")) <= 3


def test_a_job_without_any_output_fails_the_run_and_rejects_nothing(
    cloud: Cloud, knobs: Knobs
) -> None:
    knobs.set(status=500)
    images = fill(cloud, "hopeless", photos(3))
    ready(cloud, "hopeless")
    status = cloud.ended("hopeless", "failed")
    assert status["reason"]
    assert labels(cloud, images) == dict.fromkeys(images)
    knobs.set()
    ready(cloud, "hopeless")
    cloud.ended("hopeless")
    assert labels(cloud, images) == right(images)


def test_names_that_sort_differently_in_inbox_and_outbox_are_all_answered(cloud: Cloud) -> None:
    names = ["cat", "cat (1).jpg", "a", "a.jpg", "a.jpg.bak", "a-b.jpg", "a/b.jpg", "a.jpg/c.png"]
    images = fill(cloud, "sorted", names)
    ready(cloud, "sorted")
    first = cloud.ended("sorted")
    assert labels(cloud, images) == right(images)
    before = {key: cloud.answered(key) for key in images}
    ready(cloud, "sorted")
    cloud.ended("sorted", after=first["run"])
    assert len(cloud.jobs("sorted")) == 1
    assert {key: cloud.answered(key) for key in images} == before


def test_strange_keys_in_a_folder_are_answered(cloud: Cloud) -> None:
    names = ["x y+z%20.jpg", "🐈.jpg", "two\nlines.jpg", "deep//er.jpg", "../up.jpg", "é" * 400]
    images = fill(cloud, "strange", [*names, "plain.jpg"])
    ready(cloud, "strange")
    cloud.ended("strange")
    assert labels(cloud, images) == right(images)
    assert [row["image"] for row in table(cloud, "strange")] == sorted(images)


def test_two_folders_at_once_do_not_mix(cloud: Cloud) -> None:
    images = fill(cloud, "in-a", photos(5)) | fill(cloud, "in-ab", photos(7))
    ready(cloud, "in-a")
    ready(cloud, "in-ab")
    cloud.ended("in-a")
    cloud.ended("in-ab")
    assert labels(cloud, images) == right(images)
    assert cloud.summary("in-a")["images"] == 5
    assert cloud.summary("in-ab")["images"] == 7


def table(cloud: Cloud, folder: str) -> list[dict[str, str]]:
    document = cloud.folder_file(folder, "predictions.csv")
    assert document is not None, f"folder {folder} has no table"
    return list(csv.DictReader(io.StringIO(document.decode("utf-8-sig"), newline="")))
