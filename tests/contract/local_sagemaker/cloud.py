"""Our SageMaker as its clients see it: a process beside an emulated S3 and EventBridge."""

import io
import itertools
import json
import os
import queue
import socket
import sys
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from infra.local import processes
from tests.stand_in.answers import label_of

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient

ROOT = Path(__file__).parents[3]
BUCKET = "local-sagemaker"
ROLE = "arn:aws:iam::000000000000:role/sortbox"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/sortbox:stand-in"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
PATIENCE = 30.0
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


def until(seen: Callable[[], Any]) -> Any:
    """Ask again until the answer is true, as every client of SageMaker must."""
    end = time.monotonic() + PATIENCE
    while not (answer := seen()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
    return answer


class EventBridge(ThreadingHTTPServer):
    """Takes PutEvents, and hands the entries to whoever waits for them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PutEvents)
        self._entries: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.seen: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, entry: dict[str, Any]) -> None:
        self._entries.put({**entry, "Detail": json.loads(entry["Detail"])})

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def until(self, job: str, statuses: Iterable[str]) -> dict[str, Any]:
        """The entry that says that `job` reached one of `statuses`."""
        while True:
            for entry in self.seen:
                detail = entry["Detail"]
                if detail["TransformJobName"] == job and detail["TransformJobStatus"] in statuses:
                    return entry
            self.seen.append(self._entries.get(timeout=PATIENCE))


class _PutEvents(BaseHTTPRequestHandler):
    server: EventBridge

    def do_POST(self) -> None:
        entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Entries"]
        for entry in entries:
            self.server.take(entry)
        answer = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in entries]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


class Server:
    """`python -m infra.local.sagemaker`, started and stopped at will over one state folder."""

    def __init__(self, folder: Path, aws: str, events: str) -> None:
        self.state = folder / "state"
        self.images = folder / "images.json"
        stand_in = {"argv": [sys.executable, "-m", "tests.stand_in"], "cwd": str(ROOT)}
        self.images.write_text(json.dumps({IMAGE: stand_in}))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._env = {
            **CREDENTIALS,
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": aws,
            "AWS_ENDPOINT_URL_EVENTBRIDGE": events,
        }
        self._log = folder / "server.log"
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        argv = [sys.executable, "-m", "infra.local.sagemaker", "--port", str(self.port)]
        argv += ["--state", str(self.state), "--images", str(self.images)]
        argv += ["--max-transform-jobs", "2", "--ready-seconds", "5", "--invocation-seconds", "2"]
        self.child = processes.start(argv, self._env, self._log, "test-sagemaker", ROOT)
        until(self._is_up)

    def stop(self) -> None:
        self.child.stop()

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        self.child.stop(grace=0)

    def log_of(self, name: str) -> str:
        return (self.state / "logs" / f"{name}.log").read_text()

    def _is_up(self) -> bool:
        assert self.child.is_alive, self._log.read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Cloud:
    """The server with its clients, and builders for what every test needs first."""

    def __init__(self, folder: Path, aws: str, events: EventBridge) -> None:
        self.aws = aws
        self.events = events
        self.server = Server(folder, aws, events.url)
        session = boto3.Session("test", "test", region_name="us-east-1")
        once = Config(retries={"total_max_attempts": 1})
        self.s3: S3Client = session.client("s3", endpoint_url=aws)
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

    def labels(self, job: str) -> dict[str, str]:
        """The first label of every output of `job`."""
        found = {}
        for relative in self.keys(f"out/{job}/"):
            body = self.s3.get_object(Bucket=BUCKET, Key=f"out/{job}/{relative}")["Body"].read()
            found[relative] = json.loads(body)["labels"][0]["label"]
        return found


def expected_labels(images: Mapping[str, bytes]) -> dict[str, str]:
    return {f"{relative}.out": label_of(image) for relative, image in images.items()}
