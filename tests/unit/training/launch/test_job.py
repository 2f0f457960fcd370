"""What a person asks for on the command line, before anything is sent or started."""

import dataclasses
import io
import tarfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.console import Console

from infra.job_reports import ReportsError, fetch
from infra.stage import Stage
from tests.support.builders.packaged import KEY
from training.config.errors import TrainingFailed
from training.launch.input_channels import Channels
from training.launch.job import (
    JobRequest,
    is_isolated,
    job_request,
    print_outcome,
    run_id,
    trainer,
)


def request(**words: str) -> JobRequest:
    named = {name.replace("_", "-"): text for name, text in words.items()}
    return job_request(Stage("dev"), "image@sha256:1", "photos", named)


def test_hyperparameters_are_read_from_text() -> None:
    config = request(lr="0.01", batch_size="64", arch="resnet50").config
    assert (config.lr, config.batch_size, config.arch) == (0.01, 64, "resnet50")


def test_weights_are_a_word_or_a_file() -> None:
    assert request(weights="none").config.weights == "none"
    from_file = request(weights="resnet50.pth")
    assert (from_file.weights, from_file.config.weights) == ("resnet50.pth", "pretrained")


def test_a_wrong_hyperparameter_is_told_before_anything_starts() -> None:
    with pytest.raises(TrainingFailed, match="Is lr meant"):
        request(lrr="0.1")


def test_the_same_words_go_on_from_the_same_checkpoints_and_others_do_not() -> None:
    channels = Channels({"data": "s3://bucket/data/1/"})
    first = run_id(request(lr="0.1"), channels)
    assert run_id(request(lr="0.1"), channels) == first
    assert run_id(request(lr="0.1", decoders="4"), channels) == first
    assert run_id(request(lr="0.2"), channels) != first
    assert run_id(request(lr="0.1"), Channels({"data": "s3://bucket/data/2/"})) != first


@pytest.mark.parametrize(
    ("words", "isolated"),
    [
        ({}, True),
        ({"weights": "none", "arch": "resnet50"}, True),
        ({"weights": "resnet50.pth", "arch": "resnet50"}, True),
        ({"arch": "resnet50"}, False),
    ],
)
def test_a_job_has_a_network_only_to_download_weights(
    words: dict[str, str], isolated: bool
) -> None:
    """SageMaker moves data and results itself; in isolation the container has no credentials."""
    assert is_isolated(request(**words)) is isolated
    assert not is_isolated(dataclasses.replace(request(**words), managed_debugger=True))


class Encrypted(Stage):
    bucket = property(lambda self: "bucket")

    def training_role(self) -> str:
        return "arn:aws:iam::111122223333:role/training"

    def kms_key(self) -> str | None:
        return KEY


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # where nobody imported the SDK before, it compiles with some
@pytest.mark.parametrize(("kind", "disks"), [("ml.m5.xlarge", KEY), ("ml.g4dn.xlarge", None)])
def test_a_training_jobs_output_and_disks_are_under_the_stages_key(
    kind: str, disks: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_VALIDATE_ROLE", "false")  # as `main` has it: nobody is asked
    session = boto3.Session("AKIDEXAMPLE", "secret", region_name="eu-west-1")
    encrypted = dataclasses.replace(request(), stage=Encrypted("dev"), instance_type=kind)
    made = trainer(encrypted, session, Channels({"data": "s3://bucket/data/1/"}))
    assert made.output_data_config.kms_key_id == KEY
    assert made.compute.volume_kms_key_id == disks


@pytest.mark.parametrize("form", ["report.html", "./report.html"])
def test_reports_are_found_however_the_archive_names_its_members(tmp_path: Path, form: str) -> None:
    """How SageMaker's own archives name them is not documented."""

    class S3:
        def download_file(self, bucket: str, key: str, path: str) -> None:
            with tarfile.open(path, "w:gz") as archive:
                for name in (form, form.replace("report.html", "stranger.txt")):
                    member = tarfile.TarInfo(name)
                    member.size = 5
                    archive.addfile(member, io.BytesIO(b"hello"))

    s3: Any = S3()
    assert fetch(s3, "bucket", "job", tmp_path) == [tmp_path / "job" / "report.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["job"], "nothing is left beside it"


def test_reports_that_are_cut_off_are_not_taken_for_whole(tmp_path: Path) -> None:
    class S3:
        def download_file(self, bucket: str, key: str, path: str) -> None:
            with tarfile.open(path, "w:gz", compresslevel=0) as archive:
                member = tarfile.TarInfo("report.html")
                member.size = 200_000
                archive.addfile(member, io.BytesIO(b"h" * member.size))
            Path(path).write_bytes(Path(path).read_bytes()[:100_000])

    s3: Any = S3()
    for _ in range(2):
        with pytest.raises(ReportsError, match="cannot be unpacked"):
            fetch(s3, "bucket", "job", tmp_path)
    assert not list(tmp_path.rglob("report.html"))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"SecondaryStatus": "Stopped"}, "Run the same command to resume"),
        (
            {
                "SecondaryStatus": "MaxRuntimeExceeded",
                "StoppingCondition": {"MaxRuntimeInSeconds": 5400},
            },
            "limit of 1.5 h. Run the same command to resume from its checkpoint, with a higher",
        ),
        ({"SecondaryStatus": "MaxWaitTimeExceeded"}, "or without --spot"),
        (
            {
                "FailureReason": "The account-level service limit 'ml.g5.xlarge for training job "
                "usage' is 0 Instances, with current utilization of 0 Instances and a request "
                "delta of 1 Instances."
            },
            "/servicequotas/home/services/sagemaker",
        ),
        (
            {"FailureReason": "CapacityError: Unable to provision requested ML compute capacity."},
            "no ml.g5.xlarge free just now",
        ),
    ],
)
def test_a_job_that_did_not_complete_says_why_and_what_to_do(
    members: dict[str, Any], sentence: str
) -> None:
    description = {
        "TrainingJobName": "job",
        "TrainingJobStatus": "Failed" if "FailureReason" in members else "Stopped",
        "TrainingJobArn": "arn:aws:sagemaker:eu-west-1:111122223333:training-job/job",
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge"},
        **members,
    }
    console = Console(file=io.StringIO(), width=400)
    assert not print_outcome(description, [], Stage("dev"), console)
    assert isinstance(console.file, io.StringIO)
    assert sentence in console.file.getvalue()


@pytest.mark.parametrize(
    ("served", "sentence"),
    [
        ({"served_accuracy": 0.8592}, "accuracy 0.8475 in fp32, 0.8592 as it serves; loss 0.4710"),
        ({}, "accuracy 0.8475 in fp32; loss 0.4710"),
    ],
    ids=["served", "before it was measured"],
)
def test_the_accuracy_is_named_with_its_precision(served: dict[str, float], sentence: str) -> None:
    figures = {"final_accuracy": 0.8475, "final_loss": 0.471} | served
    description = {
        "TrainingJobName": "job",
        "TrainingJobStatus": "Completed",
        "FinalMetricDataList": [
            {"MetricName": name, "Value": value} for name, value in figures.items()
        ],
        "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/model.tar.gz"},
    }
    console = Console(file=io.StringIO(), width=80)
    reports = [Path("job", name) for name in ("report.html", "report.json")]
    assert print_outcome(description, reports, Stage("dev"), console)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert sentence in said
    assert "report.json" not in said
    assert said.splitlines()[-1] == "next: ./sortbox promote --stage dev --job job"
