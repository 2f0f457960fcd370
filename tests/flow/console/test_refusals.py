"""What does not work out, by the page: it says why, and the model that answers stays."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.flow.support.drive import Cloud
from tests.flow.support.pages import confirm, go, train, wait_for_done, wait_for_end
from tests.support.builders import learnable

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.flow, pytest.mark.slow]

LABELS = {"cat": "cat", "cup": "coffee", "moped": "motorcycle"}


def job_of(lines: str) -> str:
    [job] = set(re.findall(r"^job: (\S+)", lines, re.MULTILINE))
    return str(job)


def test_a_job_that_fails_says_why(page: "Page", cloud: Cloud) -> None:
    """On the page that started it, and on the job's own, also after a reload. Data in S3 are
    looked at by the job alone."""
    for label in LABELS:
        for number in range(20):
            key = f"training/data/nothing/{label}/{number}.jpg"
            cloud.s3.put_object(Bucket=cloud.bucket, Key=key, Body=b"no image")
    source = f"s3://{cloud.bucket}/training/data/nothing/"
    train(page, source, with_corrections=False, name="nothing")
    state, lines = wait_for_end(page)
    assert state == "failed", lines
    assert "job: " in lines, lines
    page.get_by_role("link", name="Its curves and report").click()
    page.reload()
    page.locator("#job-state", has_text="Failed").wait_for()
    [reason] = page.locator("#main > p.bad").all_inner_texts()
    assert reason.rstrip(".") in " ".join(lines.split()), "the same sentence in both places"
    assert page.get_by_role("link", name="Promote").count() == 0
    go(page, "/models")
    assert job_of(lines) not in page.locator("#main").inner_text(), "it is no candidate"


def test_a_promotion_that_is_refused_says_why(page: "Page", tmp_path: Path) -> None:
    """The reasons are in the lines, and what was active still is."""
    for split, count in {"train": 8, "validation": 3, "test": 8}.items():
        learnable.folder(tmp_path / "data" / split, LABELS, count, split)
    jobs = []
    for values in ({"epochs": "6", "lr": "0.01"}, {"epochs": "1", "lr": "1e-9"}):
        names = {"name": "refused", "batch_size": "8"}
        train(page, str(tmp_path / "data"), with_corrections=False, **names, **values)
        jobs.append(job_of(wait_for_done(page)))
        page.get_by_role("link", name="Promote it").click()
        if len(jobs) == 1:
            page.get_by_label("It may have other labels than the active model").check()
        page.get_by_role("button", name="Promote …").click()
        confirm(page, "Promote")
        state, lines = wait_for_end(page)
        page.locator("#active", has_text="refused:1").wait_for()
    assert state == "done, and the answer is no", lines
    assert "The candidate is significantly worse and is not promoted." in lines
    page.reload()
    assert "refused:1" in page.locator("#active").inner_text()
    page.locator("#action-log", has_text="significantly worse").wait_for()
