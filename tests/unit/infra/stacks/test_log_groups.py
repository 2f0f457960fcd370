"""SageMaker's logs end after a while, and nobody else's do."""

import re
from pathlib import Path
from typing import Any

from infra.stacks.log_groups import RETENTION_DAYS, SHARED, bound
from infra.stage import Stage
from tests.support.fakes.aws import error

REPOSITORY = Path(__file__).parents[4]
ENDPOINT = "/aws/sagemaker/Endpoints/sortbox-dev"


class Logs:
    """CloudWatch Logs as far as groups and their retention go."""

    def __init__(self, *groups: str) -> None:
        self.kept: dict[str, int | None] = dict.fromkeys(groups)

    def create_log_group(self, *, logGroupName: str) -> None:
        if logGroupName in self.kept:
            raise error("CreateLogGroup", 400, "ResourceAlreadyExistsException")
        self.kept[logGroupName] = None

    def put_retention_policy(self, *, logGroupName: str, retentionInDays: int) -> None:
        assert logGroupName in self.kept, "ResourceNotFoundException"
        self.kept[logGroupName] = retentionInDays


def bounded(logs: Logs) -> dict[str, int | None]:
    client: Any = logs
    bound(client, Stage("dev"))
    bound(client, Stage("dev"))
    return logs.kept


def test_in_a_new_account_all_groups_end() -> None:
    assert bounded(Logs()) == dict.fromkeys(
        [ENDPOINT, f"{ENDPOINT}-serverless", *SHARED], RETENTION_DAYS
    )


def test_the_stages_own_group_is_bounded_where_it_is_there_already() -> None:
    assert bounded(Logs(ENDPOINT))[ENDPOINT] == RETENTION_DAYS


def test_groups_that_hold_other_peoples_logs_stay_as_they_are() -> None:
    kept = bounded(Logs(SHARED[0]))
    assert kept[SHARED[0]] is None, "it would delete the logs of the account's other jobs"
    assert kept[SHARED[1]] == RETENTION_DAYS


def test_it_is_the_templates_retention() -> None:
    templates = ("serverless.yml", "infra/stacks/image.yml")
    written = "".join((REPOSITORY / name).read_text() for name in templates)
    days = re.findall(r"(?:logRetentionInDays|RetentionInDays): (\d+)", written)
    assert {int(each) for each in days} == {RETENTION_DAYS}
