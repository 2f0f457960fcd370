"""SageMaker Debugger, as far as a training job brings it: its files, its rules, its statuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.local import processes
from tests.contract.local_sagemaker.support.cloud import BUCKET, ROLE, Cloud, refused
from tests.contract.local_sagemaker.support.patience import until
from tests.contract.local_sagemaker.support.server import TRAINED
from tests.contract.local_sagemaker.test_sdk import run
from tests.support.worlds.jobs import QUICK, data_set
from training.config import hook_config
from training.config.train_config import TrainConfig

HOOK = {
    "S3OutputPath": f"s3://{BUCKET}/tensors",
    "CollectionConfigurations": [
        {"CollectionName": "losses", "CollectionParameters": {"save_interval": "7"}}
    ],
}
STOP = json.dumps([{"name": "StopTraining", "training_job_prefix": "any"}])


def rule(name: str, **parameters: str) -> dict[str, Any]:
    return {
        "RuleConfigurationName": name,
        "RuleEvaluatorImage": "000000000000.dkr.ecr.us-east-1.amazonaws.com/rules:latest",
        "RuleParameters": {"rule_to_invoke": name, **parameters},
    }


def statuses(described: Any, kind: str = "Debug") -> dict[str, str]:
    return {
        each["RuleConfigurationName"]: each["RuleEvaluationStatus"]
        for each in described[f"{kind}RuleEvaluationStatuses"]
    }


def test_the_container_is_told_what_to_save_and_how_often(cloud: Cloud) -> None:
    profiler = {"S3OutputPath": f"s3://{BUCKET}/p", "ProfilingIntervalInMilliseconds": 500}
    ended = cloud.trained(cloud.training(DebugHookConfig=HOOK, ProfilerConfig=profiler))
    files = cloud.archived(ended["ModelArtifacts"]["S3ModelArtifacts"])
    config = json.loads(files["seen.json"])["config"]
    assert config["debughookconfig"]["LocalPath"].endswith("/output/tensors")
    assert config["debughookconfig"]["CollectionConfigurations"] == HOOK["CollectionConfigurations"]
    assert config["profilerconfig"]["ProfilingIntervalInMilliseconds"] == 500
    assert "DebugRuleEvaluationStatuses" not in ended


def test_each_rule_has_a_state_from_the_first_moment_to_the_last(cloud: Cloud) -> None:
    rules = [rule("Overfit", found="IssuesFound"), rule("DeadRelu")]
    slow = {"steps": "20", "step_ms": "50"}
    job = cloud.training(DebugHookConfig=HOOK, DebugRuleConfigurations=rules, HyperParameters=slow)
    first = cloud.sagemaker.describe_training_job(TrainingJobName=job)
    assert statuses(first) == {"Overfit": "InProgress", "DeadRelu": "InProgress"}
    until(
        lambda: (
            statuses(cloud.sagemaker.describe_training_job(TrainingJobName=job))["Overfit"]
            == "IssuesFound"
        )
    )
    ended = cloud.trained(job)
    assert ended["TrainingJobStatus"] == "Completed"
    assert statuses(ended) == {"Overfit": "IssuesFound", "DeadRelu": "NoIssuesFound"}
    assert ended["DebugRuleEvaluationStatuses"][0]["StatusDetails"] == "told to"
    assert processes.find_running(f"{job}-rules") == []


def test_a_rule_may_stop_its_job(cloud: Cloud) -> None:
    rules = [rule("LossNotDecreasing", found="IssuesFound", action_json=STOP)]
    endless = {"steps": "1000", "step_ms": "50"}
    job = cloud.training(
        DebugHookConfig=HOOK, DebugRuleConfigurations=rules, HyperParameters=endless
    )
    ended = cloud.trained(job)
    assert ended["TrainingJobStatus"] == "Stopped"
    assert statuses(ended) == {"LossNotDecreasing": "IssuesFound"}


def test_a_profiler_report_that_was_never_written_is_an_error_of_its_rule(cloud: Cloud) -> None:
    ended = cloud.trained(cloud.training(ProfilerRuleConfigurations=[rule("ProfilerReport")]))
    assert statuses(ended, "Profiler") == {"ProfilerReport": "Error"}
    assert ended["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"DebugRuleConfigurations": [rule("Overfit")]}, "need a DebugHookConfig"),
        (
            {"DebugHookConfig": HOOK, "DebugRuleConfigurations": [rule("A"), rule("A")]},
            "names must be unique: A, A",
        ),
        ({"DebugHookConfig": {"S3OutputPath": "nowhere"}}, "s3OutputPath"),
    ],
)
def test_what_cannot_be_debugged_is_refused(
    cloud: Cloud, members: dict[str, Any], sentence: str
) -> None:
    with refused("ValidationException", sentence):
        cloud.training(**members)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # where nobody imported the SDK before, it compiles with some
def test_the_sdks_trainer_is_asked_in_its_own_words() -> None:
    from sagemaker.core.shapes import (  # seconds to import
        DebugHookConfig,
        DebugRuleConfiguration,
        ProfilerConfig,
        ProfilerRuleConfiguration,
    )

    from training.managed_debugger import request

    told = TrainConfig.from_strings({"stop-on": "Overfit"})
    asked = request.trainer_members(told, "s3://bucket/jobs", "us-east-1")
    hook = DebugHookConfig(**asked["debug_hook_config"])
    assert hook.s3_output_path == "s3://bucket/jobs"
    assert hook.collection_configurations[0].collection_name == "losses"
    rules = [DebugRuleConfiguration(**each) for each in asked["debug_rule_configurations"]]
    stopping = [each for each in rules if "action_json" in each.rule_parameters]
    assert [each.rule_configuration_name for each in stopping] == ["Overfit"]
    assert ProfilerConfig(**asked["profiler_config"]).profiling_interval_in_milliseconds == 500
    [report] = asked["profiler_rule_configurations"]
    assert ProfilerRuleConfiguration(**report).rule_configuration_name == "ProfilerReport"


@pytest.mark.slow
def test_our_rules_answer_the_request_that_the_sdks_debugger_classes_make(
    cloud: Cloud, tmp_path: Path
) -> None:
    told = QUICK | {"debug-interval": "2", "lr": "1e-8", "epochs": "4"}
    for path in sorted(data_set(tmp_path).rglob("*.png")):
        cloud.put(f"sdk-debug-data/{path.relative_to(tmp_path).as_posix()}", path.read_bytes())
    said = run(cloud, tmp_path, "sdk_debugging.py", TRAINED, ROLE, BUCKET, json.dumps(told))
    assert said["status"] == "Completed"
    assert said["rules"].keys() == set(hook_config.RULES)
    assert said["rules"].pop("LossNotDecreasing") == "IssuesFound"
    assert set(said["rules"].values()) == {"NoIssuesFound"}
    assert said["profiler"]["ProfilerReport"] in ("IssuesFound", "NoIssuesFound")
    below = f"sdk-trained/{said['name']}/rule-output/ProfilerReport/profiler-output/"
    assert cloud.keys(below) == {"profiler-report.html", "profiler-report.json"}
    saved = cloud.keys(f"debugged/{said['name']}/debug-output/events/")
    steps = {int(name.partition("/")[0]) for name in saved}
    assert {0, 2, 4} <= steps
    assert not {1, 3} & steps
