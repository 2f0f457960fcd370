"""What a person does with the SageMaker SDK, as a program of its own; writes what came back.

python sdk_session.py IMAGE ROLE BUCKET MODEL_DATA MANIFEST ANSWERS
"""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TransformJob
from sagemaker.core.shapes import (
    ContainerDefinition,
    ProductionVariant,
    TransformDataSource,
    TransformInput,
    TransformOutput,
    TransformResources,
    TransformS3DataSource,
)

INSTANCE = "ml.m5.large"


def main(image: str, role: str, bucket: str, model_data: str, manifest: str) -> dict[str, Any]:
    session = boto3.Session(region_name="us-east-1")
    models = [_model(session, name, image, role, model_data) for name in ("before", "after")]
    said = {"model": models[-1].primary_container.image}
    endpoint, answers = _endpoint(session)
    said |= answers | _transform(session, bucket, manifest)
    endpoint.delete()
    endpoint.wait_for_delete(poll=1)
    EndpointConfig.get("sdk-after").delete()
    models[-1].delete()
    said["left"] = [found.model_name for found in Model.get_all(name_contains="sdk")]
    return said


def _model(session: boto3.Session, when: str, image: str, role: str, data: str) -> Model:
    name = f"sdk-{when}"
    container = ContainerDefinition(
        image=image, model_data_url=data, environment={"SORTBOX_CONTAINER": name}
    )
    model = Model.create(
        model_name=name, primary_container=container, execution_role_arn=role, session=session
    )
    variant = ProductionVariant(
        variant_name=name, model_name=name, instance_type=INSTANCE, initial_instance_count=1
    )
    EndpointConfig.create(endpoint_config_name=name, production_variants=[variant], session=session)
    return model


def _endpoint(session: boto3.Session) -> tuple[Endpoint, dict[str, Any]]:
    endpoint = Endpoint.create(
        endpoint_name="sdk", endpoint_config_name="sdk-before", session=session
    )
    endpoint.wait_for_status("InService", poll=1)
    first = _invoke(endpoint)
    endpoint.endpoint_config_name = "sdk-after"
    endpoint.update()
    endpoint.wait_for_status("InService", poll=1)
    names = [found.endpoint_name for found in Endpoint.get_all(name_contains="sdk")]
    return endpoint, {"first": first, "updated": _invoke(endpoint), "endpoints": names}


def _transform(session: boto3.Session, bucket: str, manifest: str) -> dict[str, Any]:
    source = TransformS3DataSource(s3_data_type="ManifestFile", s3_uri=manifest)
    job = TransformJob.create(
        transform_job_name="sdk",
        model_name="sdk-after",
        transform_input=TransformInput(data_source=TransformDataSource(s3_data_source=source)),
        transform_output=TransformOutput(s3_output_path=f"s3://{bucket}/out/sdk"),
        transform_resources=TransformResources(instance_type=INSTANCE, instance_count=1),
        session=session,
    )
    job.wait(poll=1)
    names = [found.transform_job_name for found in TransformJob.get_all(name_contains="sdk")]
    return {"job": job.transform_job_status, "jobs": names}


def _invoke(endpoint: Endpoint) -> dict[str, Any]:
    answer = endpoint.invoke(b"an image", content_type="image/jpeg", custom_attributes="top_k=1")
    reply = json.loads(answer.body.read())
    return {"label": reply["labels"][0]["label"], "container": reply["server"]["container"]}


if __name__ == "__main__":
    *arguments, answers = sys.argv[1:]
    Path(answers).write_text(json.dumps(main(*arguments)))
