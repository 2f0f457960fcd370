"""What is deployed is what the template says, and it can be taken down."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.cloud import LocalCloud, local_cloud
from infra.local.place import REPOSITORY, VARIABLE
from tests.support.builders.packaged import of_type, packaged, storage

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path_factory.mktemp("deployed")) as cloud:
        yield cloud


def resources(cloud: LocalCloud, stack: str) -> dict[str, str]:
    """Physical ids by logical id."""
    pages = cloud.client("cloudformation").get_paginator("list_stack_resources")
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages.paginate(StackName=stack)
        for each in page["StackResourceSummaries"]
    }


def said(cloud: LocalCloud, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", command, "--stage", cloud.stage, *arguments],
        cwd=REPOSITORY,
        env=cloud.environment | {VARIABLE: str(cloud.place.root)},
        capture_output=True,
        text=True,
    )


def test_the_deployed_resources_are_those_of_the_packaged_template(running: LocalCloud) -> None:
    assert set(resources(running, "sortbox-local")) == set(packaged("local")["Resources"])
    assert set(resources(running, "sortbox-local-storage")) == set(storage()["Resources"])


def test_the_deployed_functions_are_those_of_the_template(running: LocalCloud) -> None:
    ids = resources(running, "sortbox-local")
    functions = of_type(packaged("local"), "AWS::Lambda::Function")
    assert len(functions) == 4
    for logical, wanted in functions.items():
        found = running.client("lambda").get_function_configuration(FunctionName=ids[logical])
        assert found["FunctionName"] == wanted["FunctionName"]
        for property in ("Handler", "Runtime", "Timeout", "MemorySize"):
            assert found[property] == wanted[property]
        variables = found["Environment"]["Variables"]
        assert set(variables) == set(wanted["Environment"]["Variables"])
        assert variables["BUCKET"] == running.bucket
        role = ids[wanted["Role"]["Fn::Sub"].removeprefix("${").removesuffix(".Arn}")]
        assert found["Role"].endswith(f"/{role}")


def test_the_deployed_queues_are_those_of_the_template(running: LocalCloud) -> None:
    stacks = (("sortbox-local", packaged("local")), ("sortbox-local-storage", storage()))
    for stack, template in stacks:
        ids = resources(running, stack)
        for logical, wanted in of_type(template, "AWS::SQS::Queue").items():
            found = attributes(running, ids[logical])
            for property in ("VisibilityTimeout", "MessageRetentionPeriod"):
                if property in wanted:
                    assert found[property] == str(wanted[property])
            redrive = json.loads(found.get("RedrivePolicy", "{}"))
            wanted_redrive = wanted.get("RedrivePolicy", {})
            assert redrive.get("maxReceiveCount") == wanted_redrive.get("maxReceiveCount")


def attributes(running: LocalCloud, queue: str) -> dict[str, str]:
    found: dict[str, str] = running.client("sqs").get_queue_attributes(
        QueueUrl=queue, AttributeNames=["All"]
    )["Attributes"]
    return found


def test_the_deployed_mappings_are_those_of_the_template(running: LocalCloud) -> None:
    found = running.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    of_template = of_type(packaged("local"), "AWS::Lambda::EventSourceMapping").values()
    assert sorted(map(told, found)) == sorted(map(told, of_template))


def told(mapping: dict[str, Any]) -> tuple[int, int, list[str]]:
    concurrency = mapping["ScalingConfig"]["MaximumConcurrency"]
    return mapping["BatchSize"], concurrency, mapping["FunctionResponseTypes"]


def test_the_deployed_rule_is_that_of_the_template(running: LocalCloud) -> None:
    ids = resources(running, "sortbox-local")
    wanted = of_type(packaged("local"), "AWS::Events::Rule")["JobEnded"]
    found = running.client("events").describe_rule(Name=ids["JobEnded"].split("|")[-1])
    assert json.loads(found["EventPattern"]) == wanted["EventPattern"]


def test_deploying_again_changes_nothing(running: LocalCloud) -> None:
    done = said(running, "deploy")
    assert done.returncode == 0, done.stderr
    assert "sortbox-local-storage: unchanged" in done.stdout
    assert "No changes to deploy" in done.stdout + done.stderr


def test_status_says_what_an_image_waits_for(running: LocalCloud) -> None:
    running.client("s3").put_object(Bucket=running.bucket, Key="inbox/cat.jpg", Body=b"cat")
    done = said(running, "status", "inbox/cat.jpg")
    assert done.returncode == 0, done.stderr
    assert "inbox/cat.jpg is there since" in done.stdout
    assert "There is no answer yet (outbox/cat.jpg.json)." in done.stdout
    assert "No model is active" in done.stdout
    assert "Endpoint sortbox-local does not exist:" in done.stdout


def test_status_ends_quietly_when_nobody_reads_on(running: LocalCloud) -> None:
    """`./sortbox status | head -1`"""
    command = [sys.executable, "-m", "cli", "status", "--stage", "local"]
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=running.environment | {VARIABLE: str(running.place.root)},
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


def test_status_says_why_a_file_is_ignored(running: LocalCloud) -> None:
    done = said(running, "status", "--json", "inbox/trip/Thumbs.db")
    (finding,) = map(json.loads, done.stdout.splitlines())
    assert finding["road"] == "ignored"
    assert "Windows: thumbnails" in finding["sentence"]


def test_status_counts_a_folder(running: LocalCloud) -> None:
    s3 = running.client("s3")
    for name in ("a.jpg", "day1/b.jpg", ".hidden"):
        s3.put_object(Bucket=running.bucket, Key=f"inbox/trip/{name}", Body=b"x")
    s3.put_object(Bucket=running.bucket, Key="outbox/trip/a.jpg.json", Body=b"{}")
    s3.put_object(Bucket=running.bucket, Key="outbox/trip/_summary.json", Body=b"{}")
    done = said(running, "status", "--json", "inbox/trip/")
    folder = json.loads(done.stdout.splitlines()[0])
    assert (folder["images"], folder["answers"]) == (2, 1)


def test_status_of_a_stage_that_is_not_there_says_how_to_deploy_it(running: LocalCloud) -> None:
    command = [sys.executable, "-m", "cli", "status", "--stage", "prod"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=running.environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "`./sortbox deploy --stage prod` first" in done.stderr


def test_remove_keeps_the_data_and_deploy_brings_the_stage_back(running: LocalCloud) -> None:
    s3 = running.client("s3")
    s3.put_object(Bucket=running.bucket, Key="outbox/kept.json", Body=b"{}")
    done = said(running, "remove")
    assert done.returncode == 0, done.stderr
    assert "stack sortbox-local: deleted" in done.stdout
    assert running.client("lambda").list_functions()["Functions"] == []
    s3.put_object(Bucket=running.bucket, Key="inbox/.meanwhile", Body=b"x")
    assert said(running, "deploy").returncode == 0
    assert len(running.client("lambda").list_functions()["Functions"]) == 4
    assert s3.head_object(Bucket=running.bucket, Key="outbox/kept.json")


def test_removing_the_data_wants_a_word_for_it(running: LocalCloud) -> None:
    done = said(running, "remove", "--bucket", "delete")
    assert done.returncode == 2
    assert "pass --yes" in done.stderr
    assert running.client("s3").head_bucket(Bucket=running.bucket)


def test_removing_everything_leaves_nothing(running: LocalCloud) -> None:
    done = said(running, "remove", "--bucket", "delete", "--yes")
    assert done.returncode == 0, done.stderr
    assert running.client("s3").list_buckets()["Buckets"] == []
    assert running.client("sqs").list_queues().get("QueueUrls", []) == []
    done = said(running, "remove", "--bucket", "delete", "--yes")
    assert done.returncode == 0, done.stderr
    assert said(running, "deploy").returncode == 0
