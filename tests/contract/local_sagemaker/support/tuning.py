"""Searches for the stand-in's best `lr`, as boto3 asks for them."""

from collections.abc import Mapping
from typing import Any

from tests.contract.local_sagemaker.support.cloud import (
    BUCKET,
    FINISHED,
    ROLE,
    Cloud,
    channel,
    unique,
)
from tests.contract.local_sagemaker.support.patience import until
from tests.contract.local_sagemaker.support.server import IMAGE

LR = {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
RATES: dict[str, Any] = {"Name": "lr", "Values": ["0.01", "0.02"]}
SIZES: dict[str, Any] = {"Name": "size", "Values": ["32", "64", "128"]}
SIDES: dict[str, Any] = {"Name": "side", "Values": ["a", "b"]}
SCORE = {"Name": "score", "Regex": r"score=([-0-9.e]+)"}
LONG = {"steps": "1000", "step_ms": "20"}


def tuning(cloud: Cloud, config: Mapping[str, Any] | None = None, /, **members: Any) -> str:
    """Starts a search; `config` goes over its defaults. Returns its name."""
    name = unique("tuning")
    request: dict[str, Any] = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            **limits(3),
            **ranges(LR),
            **(config or {}),
        },
        "TrainingJobDefinition": definition(cloud),
        **members,
    }
    cloud.sagemaker.create_hyper_parameter_tuning_job(**request)
    return name


def definition(cloud: Cloud, **static: str) -> dict[str, Any]:
    """A TrainingJobDefinition of the stand-in, with something in its channel."""
    folder = unique("data")
    cloud.put(f"data/{folder}/a.txt", b"a")
    return {
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [SCORE],
        },
        "StaticHyperParameters": static,
        "RoleArn": ROLE,
        "InputDataConfig": [channel("data", f"s3://{BUCKET}/data/{folder}")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/trained"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


def limits(trials: int | None, parallel: int = 1) -> dict[str, Any]:
    asked: dict[str, Any] = {"MaxParallelTrainingJobs": parallel}
    return {"ResourceLimits": asked | ({"MaxNumberOfTrainingJobs": trials} if trials else {})}


def ranges(*continuous: Mapping[str, Any], **kinds: Any) -> dict[str, Any]:
    return {"ParameterRanges": {"ContinuousParameterRanges": list(continuous), **kinds}}


def discrete(*each: Mapping[str, Any]) -> dict[str, Any]:
    return {"ParameterRanges": {"CategoricalParameterRanges": list(each)}}


def warm(parent: str, kind: str = "IdenticalDataAndAlgorithm") -> dict[str, Any]:
    names = [{"HyperParameterTuningJobName": parent}]
    return {"ParentHyperParameterTuningJobs": names, "WarmStartType": kind}


def described(cloud: Cloud, job: str) -> Mapping[str, Any]:
    return cloud.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=job)


def tuned(cloud: Cloud, job: str) -> Mapping[str, Any]:
    """What Describe says once EventBridge was told that the job has ended."""
    cloud.events.until(job, FINISHED, "HyperParameterTuningJob")
    return described(cloud, job)


def trials(cloud: Cloud, job: str, **members: Any) -> list[Mapping[str, Any]]:
    found = cloud.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=job, **members
    )
    return list(found["TrainingJobSummaries"])


def started(cloud: Cloud, job: str, count: int = 1) -> list[Mapping[str, Any]]:
    """The trials, once there are as many."""
    found: list[Mapping[str, Any]] = until(
        lambda: every if len(every := trials(cloud, job)) >= count else None
    )
    return found


def tried(cloud: Cloud, job: str) -> list[Mapping[str, str]]:
    return [trial["TunedHyperParameters"] for trial in trials(cloud, job, MaxResults=100)]


def stop(cloud: Cloud, job: str) -> None:
    cloud.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=job)
