"""A watched training as the SageMaker SDK asks for it; writes what came back.

python sdk_debugging.py IMAGE ROLE BUCKET HYPERPARAMETERS ANSWERS
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[4]))

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import TrainingJob
from sagemaker.core.shapes import OutputDataConfig
from sagemaker.core.training.configs import Compute, InputData, StoppingCondition

from training.config.train_config import TrainConfig
from training.managed_debugger.request import ManagedTrainer, trainer_members


def main(image: str, role: str, bucket: str, hyperparameters: str) -> dict[str, Any]:
    session = boto3.Session(region_name="us-east-1")
    told = TrainConfig.from_strings(json.loads(hyperparameters))
    trainer = ManagedTrainer(
        extra_request=trainer_members(told, f"s3://{bucket}/debugged", "us-east-1"),
        training_image=image,
        role=role,
        sagemaker_session=Session(boto_session=session, default_bucket=bucket),
        base_job_name="sdk-debugging",
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=200),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/sdk-trained"),
        hyperparameters=told.to_strings(),
    )
    data = InputData(channel_name="data", data_source=f"s3://{bucket}/sdk-debug-data/")
    trainer.train(input_data_config=[data], wait=True, logs=False)
    job = TrainingJob.get(trainer._latest_training_job.training_job_name, session=session)
    return {
        "name": job.training_job_name,
        "status": job.training_job_status,
        "rules": _statuses(job.debug_rule_evaluation_statuses),
        "profiler": _statuses(job.profiler_rule_evaluation_statuses),
    }


def _statuses(found: list[Any]) -> dict[str, str]:
    return {each.rule_configuration_name: each.rule_evaluation_status for each in found}


if __name__ == "__main__":
    *arguments, answers = sys.argv[1:]
    Path(answers).write_text(json.dumps(main(*arguments)))
