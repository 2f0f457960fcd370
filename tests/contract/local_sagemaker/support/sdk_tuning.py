"""What a person tunes with the SageMaker SDK; writes what came back.

python sdk_tuning.py IMAGE ROLE BUCKET ANSWERS
"""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter
from sagemaker.core.resources import HyperParameterTuningJob, TrainingJob
from sagemaker.core.shapes import (
    HyperParameterTuningJobWarmStartConfig,
    OutputDataConfig,
    ParentHyperParameterTuningJob,
)
from sagemaker.core.training.configs import Compute, InputData, StoppingCondition
from sagemaker.train import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner


def main(image: str, role: str, bucket: str) -> dict[str, Any]:
    session = boto3.Session(region_name="us-east-1")
    trainer = _trainer(session, image, role, bucket)
    data = [InputData(channel_name="data", data_source=f"s3://{bucket}/sdk-data/")]
    first = _tuner(trainer)
    first.tune(data, job_name="sdk-first", wait=False)
    first.latest_tuning_job.wait(poll=1)
    best = TrainingJob.get(first.best_training_job(), session=session)
    warm = _tuner(trainer, warm_start_config=_warm("sdk-first"))
    warm.tune(data, job_name="sdk-warm", wait=False)
    warm.latest_tuning_job.wait(poll=1)
    trainer.hyperparameters = {"steps": 1000, "step_ms": 20}
    endless = _tuner(trainer)
    endless.tune(data, job_name="sdk-endless", wait=False)
    endless.stop_tuning_job()
    endless.latest_tuning_job.wait(poll=1)
    found = warm.describe()
    return {
        "statuses": [
            each.describe().hyper_parameter_tuning_job_status for each in (first, warm, endless)
        ],
        "completed": found.training_job_status_counters.completed,
        "best": best.hyper_parameters,
        "overall": found.overall_best_training_job.tuned_hyper_parameters,
        "trials": [
            each.tuned_hyper_parameters
            for each in warm.latest_tuning_job.get_all_training_jobs(session=session)
        ],
        "listed": sorted(
            each.hyper_parameter_tuning_job_name
            for each in HyperParameterTuningJob.get_all(name_contains="sdk-", session=session)
        ),
    }


def _trainer(session: boto3.Session, image: str, role: str, bucket: str) -> ModelTrainer:
    return ModelTrainer(
        training_image=image,
        role=role,
        sagemaker_session=Session(boto_session=session, default_bucket=bucket),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/sdk-tuned"),
        hyperparameters={"steps": 2, "lr": 0.1},
    )


def _tuner(trainer: ModelTrainer, **members: Any) -> HyperparameterTuner:
    return HyperparameterTuner(
        trainer,
        "score",
        {
            "lr": ContinuousParameter(0.001, 0.1, "Logarithmic"),
            "batch-size": CategoricalParameter([32, 64, 128]),
        },
        [{"Name": "score", "Regex": "score=([-0-9.e]+)"}],
        max_jobs=3,
        max_parallel_jobs=2,
        early_stopping_type="Auto",
        random_seed=7,
        **members,
    )


def _warm(parent: str) -> HyperParameterTuningJobWarmStartConfig:
    job = ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=parent)
    return HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=[job], warm_start_type="IdenticalDataAndAlgorithm"
    )


if __name__ == "__main__":
    *arguments, answers = sys.argv[1:]
    Path(answers).write_text(json.dumps(main(*arguments)))
