"""What a removal leaves is named with its price, and each part can be deleted on its own."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.leftovers import RemovedStage, find
from infra.stacks.log_groups import SHARED
from infra.stage import Stage
from tests.support.fakes.aws import error
from tests.support.fakes.stacks import FakeStacks

ENDPOINT = "/aws/sagemaker/Endpoints/sortbox-dev"
OURS, THEIRS = "sortbox-dev-dogs-1/algo-1", "sortbox-prod-dogs-1/algo-1"


@dataclass
class Services(FakeStacks):
    """ECR, CloudWatch Logs, the model registry and CloudFormation as far as leftovers go."""

    images: list[int] | None = field(default_factory=lambda: [2 * 10**9, 3 * 10**9])
    groups: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            ENDPOINT: {"storedBytes": 10**9, "retentionInDays": 30},
            f"{ENDPOINT}2": {"storedBytes": 1},
            SHARED[0]: {"storedBytes": 1},
        }
    )
    streams: list[str] = field(default_factory=lambda: [OURS, THEIRS])
    packages: dict[str, list[str]] = field(
        default_factory=lambda: {"sortbox-dev-dogs": ["arn:1", "arn:2"], "sortbox-prod-dogs": []}
    )
    stacks: set[str] = field(default_factory=lambda: {"sortbox-image"})
    refused: str = ""
    operation: str = ""

    def client(self, service: str) -> Any:
        if service == self.refused:
            raise error("Describe", 403, "AccessDenied")
        return self

    def get_paginator(self, operation: str) -> "Services":
        self.operation = operation
        return self

    def paginate(self, **request: str) -> Iterator[dict[str, Any]]:
        match self.operation:
            case "describe_images":
                if self.images is None:
                    raise error("DescribeImages", 400, "RepositoryNotFoundException")
                yield {"imageDetails": [{"imageSizeInBytes": size} for size in self.images]}
            case "describe_log_streams":
                prefix = request["logStreamNamePrefix"]
                names = [name for name in self.streams if name.startswith(prefix)]
                yield {"logStreams": [{"logStreamName": name} for name in names]}
            case "list_model_package_groups":
                for name in self.packages:
                    yield {"ModelPackageGroupSummaryList": [{"ModelPackageGroupName": name}]}
            case "list_model_packages":
                arns = list(self.packages[request["ModelPackageGroupName"]])
                yield {"ModelPackageSummaryList": [{"ModelPackageArn": arn} for arn in arns]}

    def describe_log_groups(self, *, logGroupNamePrefix: str) -> Any:
        groups = [
            {"logGroupName": name, **about}
            for name, about in self.groups.items()
            if name.startswith(logGroupNamePrefix)
        ]
        return {"logGroups": groups}

    def delete_log_group(self, *, logGroupName: str) -> None:
        del self.groups[logGroupName]

    def delete_log_stream(self, *, logGroupName: str, logStreamName: str) -> None:
        self.streams.remove(logStreamName)

    def delete_repository(self, *, repositoryName: str, force: bool) -> None:
        assert force, "RepositoryNotEmptyException"
        self.images = None

    def delete_model_package(self, *, ModelPackageName: str) -> None:
        for arns in self.packages.values():
            if ModelPackageName in arns:
                arns.remove(ModelPackageName)

    def delete_model_package_group(self, *, ModelPackageGroupName: str) -> None:
        assert not self.packages.pop(ModelPackageGroupName), "a group with versions"

    def get_waiter(self, state: str) -> "Services":
        return self

    def wait(self, **_: Any) -> None:
        """Everything is done at once."""


def sentences(services: Services) -> list[str]:
    return [each.sentence for each in find(RemovedStage(Stage("dev"), services.client))]


def delete(services: Services, kind: str) -> None:
    for leftover in find(RemovedStage(Stage("dev"), services.client)):
        if leftover.kind == kind:
            assert leftover.delete is not None
            leftover.delete()


def test_each_is_named_with_what_it_costs() -> None:
    images, endpoint, streams, group = sentences(Services())
    assert "2 images" in images
    assert "at most 5.0 GB, USD 0.50 a month" in images
    assert f"{ENDPOINT}: 1.00 GB, USD 0.03 a month, kept for 30 days" in endpoint
    assert f"1 log streams of the stage in {SHARED[0]}, kept forever" in streams
    assert "put-retention-policy" in streams
    assert "sortbox-dev-dogs, which costs nothing" in group


def test_an_account_that_holds_nothing_is_silent() -> None:
    assert sentences(Services(images=None, groups={}, packages={})) == []


def test_what_aws_refuses_to_say_hides_nothing_else() -> None:
    refused, *others = sentences(Services(refused="ecr"))
    assert "AWS refused to say which images there are" in refused
    assert len(others) == 3


def test_the_images_go_with_the_stack_that_builds_them() -> None:
    services = Services()
    delete(services, "images")
    assert (services.images, services.stacks) == (None, set())
    assert services.streams == [OURS, THEIRS], "nothing else was asked for"


def test_only_the_stages_own_logs_go() -> None:
    services = Services()
    delete(services, "logs")
    assert ENDPOINT not in services.groups
    assert {f"{ENDPOINT}2", SHARED[0]} <= set(services.groups)
    assert services.streams == [THEIRS]


def test_versions_go_before_their_group() -> None:
    services = Services()
    delete(services, "models")
    assert services.packages == {"sortbox-prod-dogs": []}


@pytest.mark.parametrize("kind", ["images", "logs", "models"])
def test_a_second_time_deletes_nothing_more(kind: str) -> None:
    services = Services()
    delete(services, kind)
    delete(services, kind)
    account = RemovedStage(Stage("dev"), services.client)
    assert not [each for each in find(account) if each.kind == kind]
