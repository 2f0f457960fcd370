"""Train on any folder of images: a SageMaker training job, in the local cloud or on AWS.

The layout is checked, and local data validated and uploaded, before a job starts. The same command
resumes an interrupted job from its checkpoint; after a completed job it ends at once.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from rich.console import Console

from aws.errors import is_missing
from domain import keys
from domain.foreign import visible
from domain.instance import DEFAULT_TYPE, has_local_storage
from infra import interrupt, job_reports
from infra.diagnostics.cost import Prices
from infra.diagnostics.most_cost import MostCost
from infra.quotas import explain_failure
from infra.stage import Stage
from training.config import metrics
from training.config.errors import TrainingFailed
from training.config.train_config import AUTO, MACHINERY, TrainConfig
from training.launch import checks, input_channels, limits, s3_copy
from training.launch.input_channels import Channels, Inputs, Room
from training.launch.limits import Limit
from training.launch.live_jobs import jobs_of, start_next
from training.launch.watching.watch import (
    POLL_SECONDS,
    Watch,
    goes_on,
    still_running,
    wait_until_ended,
    watch_job,
)
from training.model import bundled, pretrained

if TYPE_CHECKING:
    from sagemaker.train import ModelTrainer

NOT_STARTED = "No job was started; what is in S3 already is not uploaded again."

RUN_CHARACTERS = 10
"""Of a run's id, in the names of its jobs: 40 bits."""

SDK_CONFIG = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}
"""Turns off the SDK's telemetry."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    stage: Stage
    image: str
    config: TrainConfig
    source: str
    weights: str | None
    """A file or s3:// address for the channel `weights`."""
    instance_type: str
    spot: bool
    max_hours: float = limits.DEFAULT_HOURS
    volume_gb: int = limits.DEFAULT_VOLUME_GB
    poll_seconds: float = POLL_SECONDS
    downloads_here: bool = False
    """The job runs on this machine: what it downloads, this machine can download."""
    free_bytes: Callable[[], int] | None = None
    """Of the disk of a job that runs on this machine, as S3 does; None on AWS."""
    managed_debugger: bool = False
    """SageMaker's managed Debugger as well, if the account still has it."""
    exclude: Set[str] = frozenset()
    """Paths of images of a local source that are left out."""


def job_request(
    stage: Stage,
    image: str,
    source: str,
    hyperparameters: Mapping[str, str],
    instance_type: str = DEFAULT_TYPE,
    spot: bool = False,
) -> JobRequest:
    """`hyperparameters`: text by name; `weights` may also be a file or an s3:// address.

    Raises TrainingFailed for a hyperparameter that is unknown or wrong.
    """
    strings = dict(hyperparameters)
    weights = None
    if strings.get("weights", "none") not in ("none", "pretrained"):
        weights = strings.pop("weights")
    config = TrainConfig.from_strings(strings)
    return JobRequest(stage, image, config, source, weights, instance_type, spot)


def prepare_and_start(request: JobRequest, session: boto3.Session, console: Console) -> str:
    """Returns the name of the started job. Raises TrainingFailed before any compute is spent."""
    interrupt.leaves("job", NOT_STARTED)
    check(request, session)
    channels = prepare_channels(request, session, console)
    return find_or_start(request, session, channels, console)


def check(request: JobRequest, session: boto3.Session) -> None:
    """What can be known before anything is uploaded. Raises TrainingFailed, or StageError where the
    stage is not deployed.
    """
    checks.check_instance_type(request.instance_type, session)
    request.stage.training_role()
    network, weights = checks.check_network(request.config), request.weights
    if request.config.arch == AUTO and weights is not None:
        raise TrainingFailed(
            f"--arch {AUTO} compares the bundled networks, and --weights belongs to one: leave it "
            "out, or name its network with --arch."
        )
    if weights is not None and not weights.startswith("s3://"):
        pretrained.check_weights(Path(weights), network, checks.LABELS)
    elif weights is None and request.downloads_here and request.config.weights == "pretrained":
        checks.check_download(request.config.arch)


def prepare_channels(request: JobRequest, session: boto3.Session, console: Console) -> Channels:
    """The job's input channels, validated and in S3. Raises TrainingFailed."""
    many = Config(
        max_pool_connections=s3_copy.THREADS, retries={"mode": "adaptive", "max_attempts": 10}
    )
    s3, bucket = session.client("s3", config=many), request.stage.bucket
    room, exclude = room_of(request), request.exclude
    inputs = Inputs(request.source, request.weights, request.config, room, exclude)
    return input_channels.prepare(s3, bucket, inputs, console)


def room_of(request: JobRequest) -> Room:
    disk = None if has_local_storage(request.instance_type) else request.volume_gb
    return Room(disk, request.free_bytes)


def run_id(request: JobRequest, channels: Channels) -> str:
    """The same hyperparameters, data and image have the same checkpoints."""
    strings = {name: text for name, text in request.config.to_strings().items()
               if name not in MACHINERY}  # fmt: skip
    of = json.dumps([strings, channels.identity, request.image], sort_keys=True)
    return hashlib.sha256(of.encode()).hexdigest()[:20]


def stem(request: JobRequest, channels: Channels) -> str:
    """What the names of all jobs of a run begin with: the next one resumes from its checkpoints."""
    name = request.config.name[:25].rstrip("-")
    return f"{request.stage.prefix}{name}-{run_id(request, channels)[:RUN_CHARACTERS]}"


def find_or_start(
    request: JobRequest, session: boto3.Session, channels: Channels, console: Console
) -> str:
    """The name of the run's live job, which is started where there is none.

    Two jobs of a run would write the same checkpoints; one that is stopping still writes them.
    """
    watch = watch_of(request, session, console)
    run = stem(request, channels)
    jobs = watch.patience.call(lambda: jobs_of(watch.sagemaker, "training job", run))
    for job in jobs:
        if job.status == "Stopping":
            watch.say(f"{job.name} is stopping: its checkpoint is waited for.")
            wait_until_ended(watch, job.name)
        elif job.is_live:
            watch.say(f"{job.name} does this already: it is watched, and no other is started.")
            return job.name
    room_of(request).check(channels.size)
    return start_next(
        run, jobs, lambda name: start_job(request, session, channels, name), watch.say
    )


def start_job(request: JobRequest, session: boto3.Session, channels: Channels, name: str) -> None:
    from sagemaker.core.training.configs import InputData  # slow, see below

    inputs = [InputData(channel_name=name, data_source=uri) for name, uri in channels.uris.items()]
    model_trainer = trainer(request, session, channels, name)
    model_trainer.train(input_data_config=inputs, wait=False, logs=False)


def trainer(
    request: JobRequest, session: boto3.Session, channels: Channels, name: str = ""
) -> "ModelTrainer":
    """`name`: of the job, if it starts one; a tuner names its jobs itself."""
    # Seconds to import: invalid requests fail before.
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.shapes import CheckpointConfig, MetricDefinition, OutputDataConfig
    from sagemaker.core.training.configs import Compute, Networking, StoppingCondition, Tag

    bucket = request.stage.bucket
    checkpoints = keys.checkpoints_prefix(run_id(request, channels))
    trainer_class, more = _trainer_class(request, bucket, session.region_name)
    if name:
        trainer_class, more = _named(trainer_class), {**more, "job_name": name}
    key = request.stage.kms_key()
    return trainer_class(
        **more,
        training_image=request.image,
        role=request.stage.training_role(),
        sagemaker_session=Session(
            boto_session=session, default_bucket=bucket, sagemaker_config=SDK_CONFIG
        ),
        base_job_name=f"{request.stage.prefix}{request.config.name[:25]}",
        compute=Compute(
            instance_type=request.instance_type,
            instance_count=1,
            volume_size_in_gb=request.volume_gb,
            volume_kms_key_id=None if has_local_storage(request.instance_type) else key,
            enable_managed_spot_training=request.spot,
        ),
        networking=Networking(enable_network_isolation=is_isolated(request)),
        stopping_condition=StoppingCondition(
            **limits.stopping_condition(request.max_hours, request.spot)
        ),
        output_data_config=OutputDataConfig(
            s3_output_path=f"s3://{bucket}/{keys.TRAINING_JOBS}", kms_key_id=key
        ),
        checkpoint_config=CheckpointConfig(s3_uri=f"s3://{bucket}/{checkpoints}"),
        hyperparameters=request.config.to_strings(),
        tags=[Tag(key=tag["Key"], value=tag["Value"]) for tag in request.stage.tags],
    ).with_metric_definitions(
        [MetricDefinition(name=m["Name"], regex=m["Regex"]) for m in metrics.definitions()]
    )


def limit(request: JobRequest, prices: Prices) -> MostCost:
    """What the job takes at most, for the person who starts it."""
    return Limit(request.max_hours, request.instance_type, request.spot).most_cost(prices)


def is_isolated(request: JobRequest) -> bool:
    """Whether the job's container needs no network: SageMaker moves data, checkpoints, results and
    logs.

    It needs one to download torchvision's weights, and for SageMaker's managed Debugger, whose
    documentation does not say that tensors are uploaded without one.
    """
    config = request.config
    # Whose weights are in the image.
    is_bundled = config.arch == AUTO or config.arch in bundled.NETWORKS
    downloads = config.weights == "pretrained" and request.weights is None and not is_bundled
    return not downloads and not request.managed_debugger


def _trainer_class(
    request: JobRequest, bucket: str, region: str
) -> "tuple[type[ModelTrainer], dict[str, Any]]":
    from sagemaker.train import ModelTrainer

    if not request.managed_debugger:
        return ModelTrainer, {}
    from training.managed_debugger.request import ManagedTrainer, trainer_members

    output = f"s3://{bucket}/{keys.TRAINING_JOBS}"
    members = trainer_members(request.config, output, region)
    return ManagedTrainer, {"extra_request": members}


def _named(trainer_class: "type[ModelTrainer]") -> "type[ModelTrainer]":
    """The SDK's trainer has no argument for a job's name, and would put the time into it."""

    class NamedTrainer(trainer_class):  # type: ignore[misc]
        job_name: str

        def _create_training_job_args(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            request: dict[str, Any] = super()._create_training_job_args(*args, **kwargs)
            return {**request, "training_job_name": self.job_name}

    return NamedTrainer


def print_outcome(
    description: Mapping[str, Any], reports: list[Path], stage: Stage, console: Console
) -> bool:
    """Whether the job completed."""
    job, status = description["TrainingJobName"], description["TrainingJobStatus"]
    pages = [path for path in reports if path.suffix == ".html"]
    for path in pages:
        console.print(visible(f"report: {path}"), markup=False, soft_wrap=True)
    if status != "Completed":
        sentence = f"{job}: {status}. {_reason(description)}"
        console.print(visible(sentence), markup=False, soft_wrap=True)
        return False
    final_metrics = {
        metric["MetricName"]: metric["Value"]
        for metric in description.get("FinalMetricDataList", [])
    }
    if "final_accuracy" in final_metrics:
        accuracy, loss = final_metrics["final_accuracy"], final_metrics["final_loss"]
        served = final_metrics.get(metrics.SERVED)
        serves = "" if served is None else f", {served:.4f} as it serves"
        result = f"accuracy {accuracy:.4f} in fp32{serves}"
        result += f"; loss {loss:.4f}, on images that it was not trained on"
        console.print(visible(result), markup=False, highlight=False, soft_wrap=True)
    model = description["ModelArtifacts"]["S3ModelArtifacts"]
    console.print(visible(f"model: {model}"), markup=False, soft_wrap=True)
    console.print(
        f"next: ./sortbox promote --stage {stage.name} --job {job}", markup=False, soft_wrap=True
    )
    return True


def _reason(description: Mapping[str, Any]) -> str:
    """Why a job did not complete, and what to do."""
    resume = "Run the same command to resume from its checkpoint"
    if "FailureReason" in description:
        instance_type = description["ResourceConfig"]["InstanceType"]
        return explain_failure(description["FailureReason"], instance_type)
    match description.get("SecondaryStatus"):
        case "MaxRuntimeExceeded":
            hours = description["StoppingCondition"]["MaxRuntimeInSeconds"] / 3600
            return f"It reached its limit of {hours:g} h. {resume}, with a higher --max-hours."
        case "MaxWaitTimeExceeded":
            return f"No spot instance was free for long enough. {resume}, or without --spot."
        case _:
            return f"Stopped. {resume}."


def run(request: JobRequest, console: Console, attach: str = "") -> bool:
    """Launch the job and watch it to its end; whether it completed.

    With `attach`, watch that job in place of starting one. Raises TrainingFailed, and StillRunning
    where the watching ends before the job.
    """
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")  # the stack's own role needs none
    session = boto3.Session()
    job = attach or prepare_and_start(request, session, console)
    console.print(visible(f"job: {job}"), markup=False)
    return follow(request, job, session, console)


def watch_of(request: JobRequest, session: boto3.Session, console: Console) -> Watch:
    return Watch(session.client("sagemaker"), session.client("logs"), console, request.poll_seconds)


def follow(request: JobRequest, job: str, session: boto3.Session, console: Console) -> bool:
    """Watch a job to its end and fetch its reports; whether it completed."""
    watch = watch_of(request, session, console)
    source = shlex.quote(request.source)
    attach = f"./sortbox train {source} --stage {request.stage.name} --attach {job}"
    with still_running(goes_on(job, request.stage, attach)):
        description = watch_job(watch, job, epochs_of(watch, job))
        s3, bucket = session.client("s3"), request.stage.bucket
        reports = watch.patience.call(lambda: job_reports.fetch(s3, bucket, job))
    interrupt.leaves("job", f"{job} has ended.")
    return print_outcome(description, reports, request.stage, console)


def epochs_of(watch: Watch, job: str) -> int:
    """Raises TrainingFailed if there is no such job."""
    try:
        description: Mapping[str, Any] = watch.patience.call(
            lambda: watch.sagemaker.describe_training_job(TrainingJobName=job)
        )
    except ClientError as error:
        if not is_missing(error):
            raise
        raise TrainingFailed(f"There is no training job {job} here.") from error
    return int(description["HyperParameters"].get("epochs", TrainConfig().epochs))
