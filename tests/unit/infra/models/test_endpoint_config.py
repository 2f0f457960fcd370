"""What an endpoint's configuration asks SageMaker for, by its instance type."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.loaders import Loader

from infra.models.endpoint import GPU_AMI, ensure_endpoint
from tests.support.worlds.activation import Endpoint, Here


class OnGpu(Here):
    endpoint_instance_type = "ml.g4dn.xlarge"


@dataclass
class Recorder(Endpoint):
    """Keeps the variant that was asked for."""

    variants: list[dict[str, Any]] = field(default_factory=list)

    def create_endpoint_config(self, *, EndpointConfigName: str, **request: Any) -> None:
        self.variants += request["ProductionVariants"]
        super().create_endpoint_config(EndpointConfigName=EndpointConfigName)


@pytest.mark.parametrize(("stage", "ami"), [(Here("dev"), None), (OnGpu("dev"), GPU_AMI)])
def test_a_gpu_is_asked_for_with_a_driver_that_cuda_13_works_with(
    stage: Here, ami: str | None
) -> None:
    recorder = Recorder()
    sagemaker: Any = recorder
    ensure_endpoint(sagemaker, stage, "config-1")
    [variant] = recorder.variants
    assert variant.get("InferenceAmiVersion") == ami


def test_the_machine_image_is_one_that_sagemaker_has() -> None:
    model = Loader().load_service_model("sagemaker", "service-2")
    assert GPU_AMI in model["shapes"]["ProductionVariantInferenceAmiVersion"]["enum"]
