"""Our SageMaker as its clients see it: a process beside an emulated S3 and EventBridge."""

import io
import itertools
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.contract.local_sagemaker.support.event_bridge import EventBridge
from tests.contract.local_sagemaker.support.patience import until
from tests.contract.local_sagemaker.support.server import IMAGE, Server
from tests.stand_in.answers import label_of

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient

BUCKET = "local-sagemaker"
ROLE = "arn:aws:iam::000000000000:role/sortbox"
FINISHED = frozenset({"Completed", "Failed", "Stopped"})

_numbers = itertools.count(1)


def unique(kind: str) -> str:
    return f"{kind}-{next(_numbers)}"


def archive(files: Mapping[str, bytes]) -> bytes:
    members = []
    for name, content in files.items():
        member = tarfile.TarInfo(name)
        member.size = len(content)
        members.append((member, content))
    return archive_of(members)


def archive_of(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


class Cloud:
    """The server with its clients, and builders for what every test needs first."""

    def __init__(self, folder: Path, aws: str, events: EventBridge) -> None:
        self.aws = aws
        self.events = events
        self.server = Server(folder, aws, events.url)
        session = boto3.Session("test", "test", region_name="us-east-1")
        once = Config(retries={"total_max_attempts": 1})
        self.s3: S3Client = session.client("s3", endpoint_url=aws)
        self.logs: CloudWatchLogsClient = session.client("logs", endpoint_url=aws)
        self.sagemaker: SageMakerClient = session.client(
            "sagemaker", endpoint_url=self.server.url, config=once
        )
        self.runtime: SageMakerRuntimeClient = session.client(
            "sagemaker-runtime", endpoint_url=self.server.url, config=once
        )

    def put(self, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def keys(self, prefix: str) -> set[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {item["Key"].removeprefix(prefix) for item in found}

    def model(self, packed: bytes | None = None, /, **environment: str) -> str:
        name = unique("model")
        url = self.put(f"models/{name}.tar.gz", packed or archive({"card.json": b"{}"}))
        container = {"Image": IMAGE, "ModelDataUrl": url, "Environment": environment}
        self.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer=container,  # type: ignore[arg-type]
            ExecutionRoleArn=ROLE,
        )
        return name

    def config(self, model: str, variant: str = "only") -> str:
        name = unique("config")
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": model,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 1,
                }
            ],
        )
        return name

    def endpoint(self, model: str) -> str:
        name = unique("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=self.config(model))
        return name

    def settled(self, endpoint: str) -> Mapping[str, Any]:
        def look() -> Mapping[str, Any] | None:
            seen = self.sagemaker.describe_endpoint(EndpointName=endpoint)
            return seen if seen["EndpointStatus"] in {"InService", "Failed"} else None

        found: Mapping[str, Any] = until(look)
        return found

    def serving(self, **environment: str) -> str:
        """An endpoint in service over a fresh model."""
        name = self.endpoint(self.model(**environment))
        assert self.settled(name)["EndpointStatus"] == "InService"
        return name

    def label(self, endpoint: str, image: bytes) -> str:
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=image)
        label: str = json.loads(answer["Body"].read())["labels"][0]["label"]
        return label

    def model_error(self, endpoint: str, image: bytes = b"an image") -> dict[str, Any]:
        """The ModelError that invoking `endpoint` is expected to be answered with."""
        with refused("ModelError") as raised:
            self.runtime.invoke_endpoint(EndpointName=endpoint, Body=image)
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
        return dict(raised.value.response)

    def images(self, count: int) -> tuple[str, dict[str, bytes]]:
        """A fresh folder with that many images, by relative key."""
        folder = f"{unique('in')}/"
        images = {f"{number}.jpg": f"{folder}{number}".encode() for number in range(count)}
        for relative, image in images.items():
            self.put(folder + relative, image)
        return folder, images

    def manifest(self, folder: str, relative: Iterable[str]) -> dict[str, Any]:
        rows = [{"prefix": f"s3://{BUCKET}/{folder}"}, *relative]
        url = self.put(f"{unique('manifest')}.json", json.dumps(rows).encode())
        return {"S3DataType": "ManifestFile", "S3Uri": url}

    def transform(self, source: Mapping[str, Any], model: str, **members: Any) -> str:
        """Starts a job whose outputs land below `out/<job>/`; returns its name."""
        name = unique("job")
        request: dict[str, Any] = {
            "TransformJobName": name,
            "ModelName": model,
            "TransformInput": {"DataSource": {"S3DataSource": source}},
            "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/out/{name}"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "ModelClientConfig": {"InvocationsMaxRetries": 0},
            **members,
        }
        self.sagemaker.create_transform_job(**request)
        return name

    def finished(self, job: str) -> Mapping[str, Any]:
        """What Describe says once EventBridge was told that the job has ended."""
        self.events.until(job, FINISHED)
        return self.sagemaker.describe_transform_job(TransformJobName=job)

    def training(self, data: Mapping[str, bytes] | None = None, /, **members: Any) -> str:
        """Starts a job with one channel, `data`; returns its name."""
        name = unique("training")
        for relative, body in (data or {"a.txt": b"a"}).items():
            self.put(f"data/{name}/{relative}", body)
        request: dict[str, Any] = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "InputDataConfig": [channel("data", f"s3://{BUCKET}/data/{name}")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/trained"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **members,
        }
        self.sagemaker.create_training_job(**request)
        return name

    def trained(self, job: str) -> Mapping[str, Any]:
        """What Describe says once EventBridge was told that the job has ended."""
        self.events.until(job, FINISHED, "TrainingJob")
        return self.sagemaker.describe_training_job(TrainingJobName=job)

    def archived(self, uri: str) -> dict[str, bytes]:
        """The files of a tar.gz."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            members = {member.name: tar.extractfile(member) for member in tar}
            return {name: file.read() for name, file in members.items() if file is not None}

    def labels(self, job: str) -> dict[str, str]:
        """The first label of every output of `job`."""
        found = {}
        for relative in self.keys(f"out/{job}/"):
            body = self.s3.get_object(Bucket=BUCKET, Key=f"out/{job}/{relative}")["Body"].read()
            found[relative] = json.loads(body)["labels"][0]["label"]
        return found


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def expected_labels(images: Mapping[str, bytes]) -> dict[str, str]:
    return {f"{relative}.out": label_of(image) for relative, image in images.items()}


def refused(code: str, match: str = "") -> "pytest.RaisesExc[ClientError]":
    """Expects AWS's error `code` with a message that matches."""
    return pytest.raises(ClientError, match=rf"\({code}\).*{match}")
