"""What a person trains and registers with the SageMaker SDK; writes what came back.

python sdk_training.py IMAGE ROLE BUCKET ANSWERS
"""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import ModelPackage, ModelPackageGroup, TrainingJob
from sagemaker.core.shapes import CheckpointConfig, MetricDefinition, OutputDataConfig
from sagemaker.core.training.configs import Compute, InputData, StoppingCondition
from sagemaker.train import ModelTrainer


def main(image: str, role: str, bucket: str) -> dict[str, Any]:
    session = boto3.Session(region_name="us-east-1")
    trainer = ModelTrainer(
        training_image=image,
        role=role,
        sagemaker_session=Session(boto_session=session, default_bucket=bucket),
        base_job_name="sdk-training",
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/sdk-trained"),
        checkpoint_config=CheckpointConfig(s3_uri=f"s3://{bucket}/sdk-checkpoints"),
        hyperparameters={"steps": 4, "lr": 0.1},
    ).with_metric_definitions([MetricDefinition(name="loss", regex=" loss=([0-9.]+)")])
    trainer.train(
        input_data_config=[InputData(channel_name="data", data_source=f"s3://{bucket}/sdk-data/")],
        wait=True,
        logs=True,
    )
    job = TrainingJob.get(trainer._latest_training_job.training_job_name, session=session)
    said: dict[str, Any] = {
        "status": job.training_job_status,
        "model": job.model_artifacts.s3_model_artifacts,
        "metrics": {each.metric_name: each.value for each in job.final_metric_data_list},
        "told": job.hyper_parameters,
    }
    ModelPackageGroup.create(model_package_group_name="sdk-models", session=session)
    # ModelPackage.create of this SDK raises KeyError once it has created.
    arn = session.client("sagemaker").create_model_package(ModelPackageGroupName="sdk-models")
    package = ModelPackage.get(arn["ModelPackageArn"], session=session)
    package.update(model_approval_status="Approved")
    package.refresh()
    said["version"] = package.model_package_version
    said["approval"] = package.model_approval_status
    return said


if __name__ == "__main__":
    *arguments, answers = sys.argv[1:]
    Path(answers).write_text(json.dumps(main(*arguments)))
