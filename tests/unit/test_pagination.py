"""Operations of AWS that answer in pages are read by pages, wherever the product calls them."""

import ast
from collections.abc import Iterator
from functools import cache

import botocore.session
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

from tests.unit.test_architecture import PRODUCT, name, none, sources, tree

SERVICES = (
    *("s3", "sagemaker", "cloudformation", "logs", "sqs", "ecr", "lambda", "iam", "cloudwatch"),
    *("codebuild", "events", "scheduler", "service-quotas", "kms", "sts", "ec2", "ce", "sns"),
)

NAMES_ONE = {"StackName", "imageIds", "repositoryNames", "AlarmNames"}
"""Parameters that ask for one thing by its name: the answer has one page."""

NOT_AWS = {("serving/networks.py", "list_models")}  # torchvision's

READ_IN_PART = {
    ("aws/bucket.py", "list_objects_v2"): "`page` promises the first thousand, `walk` goes on",
    ("infra/diagnostics/findings.py", "list_transform_jobs"): "the newest few are shown",
    ("infra/leftovers.py", "describe_log_groups"): "the whole name sorts first of its prefix",
    ("infra/stacks/queue_names.py", "describe_stack_events"): "the newest comes first",
    ("infra/diagnostics/doctor.py", "list_objects_v2"): "ten names are shown",
    ("infra/local/sagemaker/containers/containers.py", "list_objects_v2"): "one key is looked for",
    ("infra/local/sagemaker/transform/run.py", "list_objects_v2"): "one key is looked for",
}
"""Calls of one page on purpose, each with the reason."""


@cache
def paginated() -> frozenset[str]:
    """Names of methods; botocore has a paginator for each of these operations."""
    loader = botocore.session.get_session().get_component("data_loader")
    names = set[str]()
    for service in SERVICES:
        try:
            model = loader.load_service_model(service, "paginators-1")
        except UnknownServiceError:
            continue
        names.update(map(xform_name, model["pagination"]))
    return frozenset(names) - {"search"}  # re's


def calls(node: ast.AST) -> Iterator[tuple[str, int, set[str | None]]]:
    """The method, the line, and the keywords of each call of a paginated operation."""
    for call in ast.walk(node):
        match call:
            case ast.Call(func=ast.Attribute(attr=method), keywords=words):
                if method in paginated():
                    yield method, call.lineno, {word.arg for word in words}


def test_no_listing_ends_with_its_first_page() -> None:
    offenders = [
        f"{name(path)}:{line} {method}"
        for path in sources(*PRODUCT)
        for method, line, words in calls(tree(path))
        if (name(path), method) not in {*NOT_AWS, *READ_IN_PART}
        if not words & NAMES_ONE or method == "describe_stack_events"
    ]
    none(offenders, "the first page of a listing is not the listing: use client.get_paginator")


def test_what_is_read_in_part_is_still_there() -> None:
    found = {
        (name(path), method) for path in sources(*PRODUCT) for method, _, _ in calls(tree(path))
    }
    assert set(READ_IN_PART) | NOT_AWS <= found


def test_a_call_without_a_paginator_is_seen() -> None:
    source = "names = client.list_training_jobs(NameContains=prefix)['TrainingJobSummaries']"
    assert [method for method, _, _ in calls(ast.parse(source))] == ["list_training_jobs"]
    walked = "pages = client.get_paginator('list_training_jobs').paginate(NameContains=prefix)"
    assert not list(calls(ast.parse(walked)))
