"""Which job is promoted where nobody names one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from training.config.errors import TrainingFailed
from training.launch.candidate import latest_job

DAY = datetime(2026, 1, 1, tzinfo=UTC)


class Jobs:
    """ListTrainingJobs as its reference describes it: the default order is Ascending, and a page
    is cut before the jobs of other states are taken out of it.
    """

    def __init__(self, *named: tuple[str, str]) -> None:
        self.jobs = [
            {
                "TrainingJobName": name,
                "TrainingJobStatus": status,
                "CreationTime": DAY + timedelta(number),
            }
            for number, (name, status) in enumerate(named)
        ]
        self.pages = 0

    def get_paginator(self, operation: str) -> "Jobs":
        assert operation == "list_training_jobs"
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self.list_training_jobs(**request, **token)
            yield page
            if "NextToken" not in page:
                return
            token = {"NextToken": page["NextToken"]}

    def list_training_jobs(
        self,
        *,
        NameContains: str,
        StatusEquals: str,
        SortOrder: str = "Ascending",
        NextToken: str = "0",
        **_: Any,
    ) -> dict[str, Any]:
        self.pages += 1
        named = [job for job in self.jobs if NameContains in str(job["TrainingJobName"])]
        if SortOrder == "Descending":
            named.reverse()
        at = int(NextToken)
        page = [job for job in named[at : at + 10] if job["TrainingJobStatus"] == StatusEquals]
        more = {"NextToken": str(at + 10)} if at + 10 < len(named) else {}
        return {"TrainingJobSummaries": page, **more}


def test_the_latest_completed_job_is_the_newest() -> None:
    jobs: Any = Jobs(*((f"sortbox-dev-{number}", "Completed") for number in range(30)))
    assert latest_job(jobs, "sortbox-dev-") == "sortbox-dev-29"
    assert jobs.pages == 1, "The first match ends the search."


def test_a_hundred_newer_trials_that_failed_do_not_hide_it() -> None:
    trials = ((f"sortbox-dev-trial-{number}", "Stopped") for number in range(100))
    jobs: Any = Jobs(("sortbox-dev-pets", "Completed"), *trials)
    assert latest_job(jobs, "sortbox-dev-") == "sortbox-dev-pets"


def test_the_job_of_another_stage_whose_name_contains_this_ones_is_not_taken() -> None:
    jobs: Any = Jobs(("sortbox-dev-a", "Completed"), ("my-sortbox-dev-b", "Completed"))
    assert latest_job(jobs, "sortbox-dev-") == "sortbox-dev-a"
    with pytest.raises(TrainingFailed, match="No training job has completed here"):
        latest_job(jobs, "sortbox-prod-")
