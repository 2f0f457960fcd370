"""Train on any folder of images: a SageMaker training job, in the local cloud or on AWS.

The layout is looked at, and local data read and sent, before a job is asked for. Asking again for
what was interrupted goes on from its checkpoints; for what is done, it is done at once.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from aws.errors import is_absent
from domain import keys
from domain.archive import ArchiveError, members
from domain.errors import SortboxError
from domain.foreign import visible
from domain.instance import has_local_storage
from infra.stage import Stage
from training.config import metrics
from training.config.errors import TrainingFailed
from training.config.train_config import MACHINERY, TrainConfig
from training.data import dataset as data
from training.launch import upload
from training.launch.watch import watched

if TYPE_CHECKING:
    from sagemaker.train import ModelTrainer
    from types_boto3_s3 import S3Client

REPORTS = Path("build/reports")
INSTANCE_TYPE = "ml.m5.xlarge"
VOLUME_GB = 50
HOURS = 24

PROFILE = "ProfilerReport/profiler-output/profiler-report"
FILES = frozenset({"report.html", "report.json", "predictions.csv", "trials.json"})
FILES |= {"debug.html", "debug.json", f"{PROFILE}.html", f"{PROFILE}.json"}
"""What is taken out of output.tar.gz; nothing else in it is ours."""

REPORT_BYTES = 256 * 2**20

QUIET = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}
"""The SDK would otherwise tell AWS which of its functions were used."""


class StillRunning(SortboxError):
    """The person stopped watching a job, which goes on."""

    exit_code = 130


@dataclass(frozen=True, slots=True)
class Asked:
    stage: Stage
    image: str
    told: TrainConfig
    source: str
    weights: str | None
    """A file or s3://: what the channel `weights` holds."""
    instance_type: str
    spot: bool
    managed_debugger: bool = False
    """SageMaker's own as well, where the account still has it."""


def asked(
    stage: Stage,
    image: str,
    source: str,
    words: Mapping[str, str],
    instance_type: str = INSTANCE_TYPE,
    spot: bool = False,
    managed_debugger: bool = False,
) -> Asked:
    """`words`: hyperparameters by name, as text; `weights` may be a file or s3:// as well.

    Raises TrainingFailed for a hyperparameter that is unknown or wrong.
    """
    strings = dict(words)
    weights = None
    if strings.get("weights", "none") not in ("none", "pretrained"):
        weights = strings.pop("weights")
    config = TrainConfig.from_strings(strings)
    return Asked(stage, image, config, source, weights, instance_type, spot, managed_debugger)


def launch(asked: Asked, session: boto3.Session, console: Console) -> str:
    """The name of the job, which runs. Raises TrainingFailed before any compute is spent."""
    return started(asked, session, channels(asked, session, console))


def channels(asked: Asked, session: boto3.Session, console: Console) -> dict[str, str]:
    """What the job reads, looked at and in S3. Raises TrainingFailed."""
    s3, bucket = session.client("s3"), asked.stage.bucket
    dataset = upload.looked_at(s3, asked.source, asked.told)
    found = {"data": asked.source}
    if not asked.source.startswith(upload.S3):
        console.print(visible(data.described(dataset)), markup=False)
        found["data"] = _sent(s3, bucket, dataset, console)
    if asked.weights:
        found["weights"] = upload.weights_sent(s3, bucket, asked.weights)
    return found


def _sent(s3: "S3Client", bucket: str, dataset: data.Dataset, console: Console) -> str:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("images in S3", total=None)
        return upload.sent(
            s3, bucket, dataset, lambda n, of: progress.update(bar, completed=n, total=of)
        )


def run_id(asked: Asked, channels: Mapping[str, str]) -> str:
    """The same words, data and image: the same checkpoints."""
    strings = {name: text for name, text in asked.told.to_strings().items()
               if name not in MACHINERY}  # fmt: skip
    of = json.dumps([strings, channels, asked.image], sort_keys=True)
    return hashlib.sha256(of.encode()).hexdigest()[:20]


def started(asked: Asked, session: boto3.Session, channels: Mapping[str, str]) -> str:
    """The name of the job."""
    from sagemaker.core.training.configs import InputData  # as below

    inputs = [InputData(channel_name=name, data_source=uri) for name, uri in channels.items()]
    asks = trainer(asked, session, channels)
    asks.train(input_data_config=inputs, wait=False, logs=False)
    return str(asks._latest_training_job.training_job_name)


def trainer(asked: Asked, session: boto3.Session, channels: Mapping[str, str]) -> "ModelTrainer":
    # Seconds to import; whoever asks for something impossible is told before them.
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.shapes import CheckpointConfig, MetricDefinition, OutputDataConfig
    from sagemaker.core.training.configs import Compute, Networking, StoppingCondition, Tag

    bucket = asked.stage.bucket
    checkpoints = keys.checkpoints_prefix(run_id(asked, channels))
    limit: dict[str, Any] = {"max_runtime_in_seconds": HOURS * 3600}
    if asked.spot:
        limit["max_wait_time_in_seconds"] = 2 * HOURS * 3600
    made, more = _kind(asked, bucket, session.region_name)
    key = asked.stage.kms_key()
    return made(
        **more,
        training_image=asked.image,
        role=asked.stage.training_role(),
        sagemaker_session=Session(
            boto_session=session, default_bucket=bucket, sagemaker_config=QUIET
        ),
        base_job_name=f"{asked.stage.prefix}{asked.told.name[:25]}",
        compute=Compute(
            instance_type=asked.instance_type,
            instance_count=1,
            volume_size_in_gb=VOLUME_GB,
            volume_kms_key_id=None if has_local_storage(asked.instance_type) else key,
            enable_managed_spot_training=asked.spot,
        ),
        networking=Networking(enable_network_isolation=is_isolated(asked)),
        stopping_condition=StoppingCondition(**limit),
        output_data_config=OutputDataConfig(
            s3_output_path=f"s3://{bucket}/{keys.TRAINING_JOBS}", kms_key_id=key
        ),
        checkpoint_config=CheckpointConfig(s3_uri=f"s3://{bucket}/{checkpoints}"),
        hyperparameters=asked.told.to_strings(),
        tags=[Tag(key=tag["Key"], value=tag["Value"]) for tag in asked.stage.tags],
    ).with_metric_definitions(
        [MetricDefinition(name=m["Name"], regex=m["Regex"]) for m in metrics.definitions()]
    )


def is_isolated(asked: Asked) -> bool:
    """Whether the job's container needs no network: SageMaker itself moves data, checkpoints,
    results and logs.

    It needs one to download torchvision's weights, and to send SageMaker's own Debugger its
    tensors, of which no documentation says that they come through without.
    """
    told = asked.told
    is_bundled = told.arch == TrainConfig().arch  # whose weights are in the image
    downloads = told.weights == "pretrained" and asked.weights is None and not is_bundled
    return not downloads and not asked.managed_debugger


def _kind(asked: Asked, bucket: str, region: str) -> "tuple[type[ModelTrainer], dict[str, Any]]":
    from sagemaker.train import ModelTrainer

    if not asked.managed_debugger:
        return ModelTrainer, {}
    from training.managed_debugger import request

    output = f"s3://{bucket}/{keys.TRAINING_JOBS}"
    return request.Managed, {"asks": request.asks(asked.told, output, region)}


def reports(s3: "S3Client", bucket: str, job: str, below: Path = REPORTS) -> list[Path]:
    """The job's reports, fetched; none where it left none. Raises TrainingFailed."""
    folder = below / job
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "output.tar.gz"
    try:
        s3.download_file(bucket, f"{keys.TRAINING_JOBS}/{job}/output/output.tar.gz", str(archive))
    except ClientError as error:
        if not is_absent(error):
            raise
        return []
    try:
        with archive.open("rb") as packed:
            for member, content in members(packed, archive.stat().st_size):
                if member.name in FILES and member.size <= REPORT_BYTES:
                    (folder / member.name).parent.mkdir(parents=True, exist_ok=True)
                    with (folder / member.name).open("wb") as file:
                        file.writelines(content)
    except ArchiveError as error:
        raise TrainingFailed(f"The reports of {job} cannot be unpacked: {error}.") from error
    finally:
        archive.unlink()
    return sorted(path for path in folder.rglob("*") if path.is_file())


def told_of(ended: Mapping[str, Any], left: list[Path], stage: Stage, console: Console) -> bool:
    """Whether the job completed."""
    job, status = ended["TrainingJobName"], ended["TrainingJobStatus"]
    for path in left:
        console.print(visible(f"report: {path}"), markup=False, soft_wrap=True)
    if status != "Completed":
        reason = ended.get(
            "FailureReason", "Stopped. Run the same command to resume from its checkpoint."
        )
        console.print(visible(f"{job}: {status}. {reason}"), markup=False, soft_wrap=True)
        return False
    found = {each["MetricName"]: each["Value"] for each in ended.get("FinalMetricDataList", [])}
    if "final_accuracy" in found:
        console.print(f"accuracy {found['final_accuracy']:.4f}, loss {found['final_loss']:.4f}, "
                      "on images that it did not learn from")  # fmt: skip
    model = ended["ModelArtifacts"]["S3ModelArtifacts"]
    console.print(visible(f"model: {model}"), markup=False, soft_wrap=True)
    console.print(
        f"next: ./sortbox promote --stage {stage.name} --job {job}", markup=False, soft_wrap=True
    )
    return True


def run(asked: Asked, console: Console) -> bool:
    """Launch the job and watch it to its end; whether it completed.

    Raises TrainingFailed, and StillRunning where the person stops watching.
    """
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")  # the stack's own role needs none
    session = boto3.Session()
    job = launch(asked, session, console)
    console.print(visible(f"job: {job}"), markup=False)
    return follow(asked, job, session, console)


def follow(asked: Asked, job: str, session: boto3.Session, console: Console) -> bool:
    """Watch a job to its end and fetch its reports; whether it completed."""
    sagemaker, logs = session.client("sagemaker"), session.client("logs")
    try:
        ended = watched(sagemaker, logs, job, asked.told.epochs, console)
    except KeyboardInterrupt:
        raise StillRunning(
            f"Stopped watching; {job} still runs. To end it: "
            f"`aws sagemaker stop-training-job --training-job-name {job}`"
        ) from None
    left = reports(session.client("s3"), asked.stage.bucket, job)
    return told_of(ended, left, asked.stage, console)
