"""The folder of one training job that corresponds to /opt/ml; SM_* variables contain its paths."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.sagemaker.training.request import TrainingJobRequest

HOST_NAME = "algo-1"
FAILURE_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    root: Path

    def make(self, request: TrainingJobRequest) -> None:
        """Create the folders, and the three configuration files of the job."""
        for folder in (self.config, self.model, self.data, self.checkpoints):
            folder.mkdir(parents=True)
        for channel in request.channels:
            self.channel(channel.name).mkdir(parents=True)
        self._write("hyperparameters", dict(request.hyperparameters))
        self._write("inputdataconfig", _input_data_config(request))
        self._write("resourceconfig", _resource_config(request))
        for name, content in request.debug.configuration(self.tensors).items():
            self._write(name, content)

    @property
    def config(self) -> Path:
        return self.root / "input" / "config"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def data(self) -> Path:
        """The folder that is uploaded as output.tar.gz."""
        return self.root / "output" / "data"

    @property
    def tensors(self) -> Path:
        """The folder where smdebug's hook saves tensors."""
        return self.root / "output" / "tensors"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def channel(self, name: str) -> Path:
        return self.root / "input" / "data" / name

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "SM_INPUT_DIR": str(self.root / "input"),
            "SM_INPUT_CONFIG_DIR": str(self.config),
            "SM_MODEL_DIR": str(self.model),
            "SM_OUTPUT_DIR": str(self.root / "output"),
            "SM_OUTPUT_DATA_DIR": str(self.data),
            "SM_CHECKPOINT_DIR": str(self.checkpoints),
            "SMDEBUG_CONFIG_FILE_PATH": str(self.config / "debughookconfig.json"),
        }

    def failure(self) -> str:
        """The failure reason that the container wrote; empty if it wrote none."""
        try:
            with (self.root / "output" / "failure").open(errors="replace") as file:
                return file.read(FAILURE_CHARACTERS).strip()
        except OSError:
            return ""

    def _write(self, name: str, content: object) -> None:
        (self.config / f"{name}.json").write_text(json.dumps(content, indent=1))


def _input_data_config(request: TrainingJobRequest) -> Mapping[str, Mapping[str, str]]:
    fixed = {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    return {
        channel.name: fixed
        | ({"ContentType": channel.content_type} if channel.content_type else {})
        for channel in request.channels
    }


def _resource_config(request: TrainingJobRequest) -> Mapping[str, object]:
    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": request.instance_type,
        "hosts": [HOST_NAME],
    }
    return {
        "current_host": HOST_NAME,
        "current_instance_type": request.instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": [HOST_NAME],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }
