"""The life of a model, by the commands that people use: trained, judged, promoted, rolled back."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local import cloud as local
from tests.flow.conftest import STAND_IN, Activate, archive
from tests.flow.support.drive import Cloud, label_of
from tests.flow.support.person import Person
from tests.support.builders import learnable
from training.model.package import pack, unpack

pytestmark = [pytest.mark.flow, pytest.mark.slow]

LABELS = {"cat": "cat", "cup": "coffee", "moped": "motorcycle"}


@pytest.fixture(scope="module")
def person(running: local.LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(running, tmp_path_factory.mktemp("person"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes; a test set that is large enough to tell worse from unlucky."""
    root = tmp_path_factory.mktemp("photos")
    for split, each in {"train": 8, "validation": 3, "test": 8}.items():
        learnable.folder(root / split, LABELS, each, split)
    return root


@pytest.fixture(scope="module")
def trained(person: Person, photos: Path, cloud: Cloud) -> tuple[str, str]:
    """A job that has trained on the photographs, and what was said of it."""
    done = person.trains(photos, "--name=subjects", "--epochs=6", "--lr=0.01", "--batch-size=8")
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"job: (\S+)", done.stdout)
    assert found is not None
    return found[1], done.stdout


@pytest.fixture(scope="module")
def promoted(
    person: Person,
    trained: tuple[str, str],
    cloud: Cloud,
    activate: Activate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    done = person.promotes("--job", trained[0], "--replace-labels")
    assert done.returncode == 0, done.stdout + done.stderr
    yield done.stdout
    folder = tmp_path_factory.mktemp("again")
    activate(archive(folder / "stand-in.tar.gz", "stand-in"), STAND_IN)


def test_training_says_how_good_the_model_is_and_where_its_report_is(
    person: Person, trained: tuple[str, str]
) -> None:
    job, said = trained
    assert float(re.search(r"accuracy (\S+) in fp32", said)[1]) > 0.9  # type: ignore[index]
    report = json.loads((person.folder / f"build/reports/{job}/report.json").read_text())
    assert report["judged_on"] == "test"
    assert (person.folder / f"build/reports/{job}/report.html").is_file()


def test_the_job_tells_sagemaker_its_metrics_and_its_log(
    running: local.LocalCloud, trained: tuple[str, str]
) -> None:
    job = running.client("sagemaker").describe_training_job(TrainingJobName=trained[0])
    metrics = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
    assert metrics["final_accuracy"] > 0.9
    assert metrics["train_loss"] < metrics["loss"] * 10
    streams = running.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=trained[0]
    )
    assert len(streams["logStreams"]) == 1


def test_a_job_is_watched_again_by_its_name(
    person: Person, trained: tuple[str, str], photos: Path
) -> None:
    done = person.types("train", str(photos), "--attach", trained[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"accuracy \S+ in fp32, \S+ as it serves; loss", done.stdout)
    assert done.stdout.splitlines()[0] == f"job: {trained[0]}", "no second job was started"
    unknown = person.types("train", str(photos), "--attach", "sortbox-local-nobody")
    assert unknown.returncode == 1
    assert "There is no training job sortbox-local-nobody here." in unknown.stderr


def test_data_that_are_there_are_not_sent_again(
    running: local.LocalCloud, trained: tuple[str, str], photos: Path
) -> None:
    job = running.client("sagemaker").describe_training_job(TrainingJobName=trained[0])
    [channel] = job["InputDataConfig"]
    prefix = channel["DataSource"]["S3DataSource"]["S3Uri"].split("/", 3)[3]
    versions = running.client("s3").list_object_versions(Bucket=running.bucket, Prefix=prefix)
    keys = [each["Key"].removeprefix(prefix) for each in versions["Versions"]]
    sent = [path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg")]
    assert sorted(key for key in keys if "/" in key) == sorted(sent)


def test_data_in_another_bucket_are_trained_on_from_a_copy(
    running: local.LocalCloud, person: Person, photos: Path
) -> None:
    """The training role reads the stage's bucket only."""
    s3 = running.client("s3")
    s3.create_bucket(Bucket="somebody-elses")
    for path in photos.rglob("*.jpg"):
        key = f"a b/{path.relative_to(photos).as_posix()}"
        s3.upload_file(str(path), "somebody-elses", key)
    command = ("train", "s3://somebody-elses/a b", "--image", STAND_IN, "--epochs=1")
    done = person.types(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    job = re.search(r"job: (\S+)", done.stdout)
    assert job is not None
    described = running.client("sagemaker").describe_training_job(TrainingJobName=job[1])
    [channel] = described["InputDataConfig"]
    uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri.startswith(f"s3://{running.bucket}/training/own/")
    listed = s3.list_objects_v2(Bucket=running.bucket, Prefix=uri.split("/", 3)[3])
    assert listed["KeyCount"] == sum(1 for _ in photos.rglob("*.jpg"))


def test_other_labels_want_a_word_for_it(
    person: Person, cloud: Cloud, trained: tuple[str, str]
) -> None:
    before = cloud.active()
    done = person.promotes("--job", trained[0])
    assert done.returncode == 3
    assert "Gained: cat, cup, moped. Lost: sha." in done.stdout
    assert "--replace-labels" in done.stderr
    assert cloud.active() == before
    groups = cloud.sagemaker.list_model_package_groups(NameContains="subjects")
    assert groups["ModelPackageGroupSummaryList"] == [], "nothing half-registered"


def test_the_inbox_answers_with_the_promoted_models_labels(cloud: Cloud, promoted: str) -> None:
    for label, subject in LABELS.items():
        body = learnable.crop(subject, "inbox 1")
        answer = cloud.answered(f"inbox/{label}.jpg", cloud.drop(f"inbox/{label}.jpg", body))
        assert answer.by is not None
        assert str(answer.by.model).startswith("subjects:1:")
        assert cloud.label(f"inbox/{label}.jpg") == label


def test_the_version_is_in_the_registry_with_its_metrics_and_lineage(
    cloud: Cloud, promoted: str, trained: tuple[str, str]
) -> None:
    [found] = cloud.sagemaker.list_model_packages(
        ModelPackageGroupName=f"sortbox-{cloud.stage}-subjects"
    )["ModelPackageSummaryList"]
    version = cloud.sagemaker.describe_model_package(ModelPackageName=found["ModelPackageArn"])
    assert version["ModelApprovalStatus"] == "Approved"
    assert version["MetadataProperties"]["GeneratedBy"].endswith(trained[0])
    kept = version["CustomerMetadataProperties"]
    assert kept["digest"] == cloud.active().id.digest
    assert (kept["labels_gained"], kept["labels_lost"]) == ("3", "1")
    evaluation = version["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    document = json.loads(cloud.read(evaluation.split("/", 3)[3]) or b"")
    assert document["accuracy"] > 0.9
    assert sum(document["scores"]) == document["images"], "a folder's scores are compared with them"


def test_the_doctor_finds_everything_and_says_what_it_costs(person: Person, promoted: str) -> None:
    done = person.types("doctor", "--image", person.image)
    assert done.returncode == 0, done.stdout
    assert "subjects:1 is active" in done.stdout
    assert "sortbox-local is InService" in done.stdout
    assert re.search(r"ok +quota +ml\.m5\.xlarge for endpoint usage is 4", done.stdout)
    assert re.search(r"ok +quota +Concurrently running builds for Linux/Medium", done.stdout)
    assert re.search(r"ml\.m5\.xlarge costs USD \d+ a month.*us-east-1, \d{4}-", done.stdout)


def test_an_array_is_predicted_by_the_sdk_whatever_its_size(
    person: Person, promoted: str, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(learnable.crop("coffee", "array"))
    said = person.asks(PREDICT.format(photo=photo, endpoint=f"sortbox-{person.cloud.stage}"))
    assert json.loads(said.splitlines()[-1]) == {"small": "cup", "large": "cup", "raw": "cup"}


PREDICT = """
import json
import numpy as np
from PIL import Image
from sagemaker.core.deserializers import JSONDeserializer
from sagemaker.core.resources import Endpoint
from sagemaker.core.serializers import NumpySerializer
from training.launch.predictor import Predictor

image = Image.open("{photo}")
small, large = np.asarray(image), np.asarray(image.resize((4000, 3000)))
predictor = Predictor("{endpoint}")
raw = Endpoint.get("{endpoint}")
raw.serializer, raw.deserializer = NumpySerializer(), JSONDeserializer()
body = raw.invoke(body=small).body
print(json.dumps({{
    "small": predictor.predict(small).labels[0].label,
    "large": predictor.predict(large).labels[0].label,
    "raw": body["labels"][0]["label"],
}}))
"""


@pytest.fixture(scope="module")
def worse(
    running: local.LocalCloud, promoted: str, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The active model with its labels in another order: nearly always wrong."""
    folder = tmp_path_factory.mktemp("worse")
    key = f"models/subjects/{cloud.active().id.digest.removeprefix('sha256:')}/model.tar.gz"
    running.client("s3").download_file(running.bucket, key, str(folder / "good.tar.gz"))
    card = unpack(folder / "good.tar.gz", folder / "good")
    wrong = replace(card, labels=(*card.labels[1:], card.labels[0]), openvino=None)
    weights = (folder / "good" / "weights.safetensors").read_bytes()
    pack(wrong, weights, folder / "worse.tar.gz")
    return folder / "worse.tar.gz"


def test_a_worse_model_is_refused_with_both_counts(
    person: Person, cloud: Cloud, worse: Path, photos: Path
) -> None:
    before = cloud.active()
    done = person.promotes("--archive", str(worse), "--tests", str(photos / "test"))
    assert done.returncode == 3
    assert re.search(
        r"Only the candidate is right on 0 .* only the active model on 2\d", done.stdout
    )
    assert "significantly worse" in done.stderr
    assert cloud.active() == before


def test_an_override_is_recorded_and_each_rollback_goes_back_one_model(
    person: Person, cloud: Cloud, worse: Path, photos: Path
) -> None:
    good = cloud.active()
    done = person.promotes(
        "--archive", str(worse), "--tests", str(photos / "test"), "--override", "to see it fail"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert cloud.active().id.version == 2
    arn = cloud.sagemaker.list_model_packages(
        ModelPackageGroupName=f"sortbox-{cloud.stage}-subjects",
        SortOrder="Descending",  # ascending is SageMaker's default
    )["ModelPackageSummaryList"][0]["ModelPackageArn"]
    kept = cloud.sagemaker.describe_model_package(ModelPackageName=arn)
    assert kept["CustomerMetadataProperties"]["override"] == "to see it fail"

    done = person.types("rollback")
    assert done.returncode == 0, done.stderr
    assert cloud.active().id == good.id
    done = person.types("rollback")
    assert done.returncode == 0, done.stderr
    assert cloud.active().id.name == "stand-in"
    body = os.urandom(32)
    etag = cloud.drop("inbox/after.jpg", body)
    assert cloud.label("inbox/after.jpg", etag) == label_of(body)
