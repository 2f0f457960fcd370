"""The container's `train` as SageMaker meets it: folders in, files and an exit status out."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from serving.networks import create_network
from tests.support.builders.images import encoded, picture
from tests.support.worlds.jobs import Job, data_set, folder, lines
from training.config import metrics
from training.config.train_config import TrainConfig
from training.model.pretrained import load_pretrained

pytestmark = pytest.mark.usefixtures("one_thread")


def assert_failed(job: Job, status: int, *words: str) -> None:
    assert status == 1
    for word in words:
        assert word in job.failure
    assert "defect" not in job.failure
    assert not job.model.exists() or not list(job.model.iterdir())


def test_a_job_leaves_a_model_a_report_and_metrics(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.run(name="colours") == 0, job.failure
    log = capsys.readouterr().out
    assert sorted(path.name for path in job.model.iterdir()) == [
        "card.json",
        "weights.safetensors",
    ]
    made = job.card
    assert (made.name, made.labels) == ("colours", ("blue", "green", "red"))
    assert made.provenance["judged_on"] == "test"
    assert made.provenance["weights"].startswith("efficientnet-lite0")
    assert made.metrics["images"] == 12
    final = lines(log, "final_accuracy")[0]["final_accuracy"]
    assert final == pytest.approx(made.metrics["accuracy"], abs=1e-5)
    assert final >= 0.9
    assert [values["epoch"] for values in lines(log, "test_accuracy")] == [1, 2, 3]
    assert set(lines(log, "test_accuracy")[0]) >= set(metrics.EPOCH_METRIC_NAMES)
    assert len(lines(log, "loss")) == 18
    told = json.loads((job.reports / "report.json").read_text())
    assert told["model"]["digest"] == made.digest
    assert (job.reports / "report.html").exists()
    assert len((job.reports / "predictions.csv").read_text().splitlines()) == 13
    assert not job.failure
    assert made.temperature is None
    assert "scores not calibrated: 100 validation images are needed" in log


def test_a_job_brings_what_serves_fast_and_says_who_judged_it(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.run(compile="auto") == 0, job.failure
    made = job.card
    assert made.openvino
    assert all((job.model / name).is_file() for name in made.openvino.files)
    kept = [each.precision for each in made.openvino.verdicts if each.outcome == "kept"]
    assert [made.openvino.precision] == (kept or ["fp32"])
    first = made.openvino.verdicts[0]
    assert (first.precision, first.photos) == ("int8", 24)
    assert f"serves on a CPU in {made.openvino.precision} (int8 " in capsys.readouterr().out


@pytest.mark.parametrize("compiled", ["none", "fp32"])
def test_with_a_hundred_validation_images_scores_are_calibrated(
    compiled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job(tmp_path)
    data_set(job.channel, others=34)
    assert job.run(epochs="1", compile=compiled, max_error="10%") == 0, job.failure
    made, log = job.card, capsys.readouterr().out
    assert made.temperature is not None
    assert f"scores calibrated on validation images: temperature {made.temperature:g}" in log
    assert made.promise
    assert (made.promise.max_error, made.promise.images) == (0.1, 102)
    assert (made.promise.accepted > 0) == (made.promise.threshold < 1)
    report = json.loads((job.reports / "report.json").read_text())
    assert set(report["served"]["promise"]) == {"accepted", "wrong"}
    assert report["served"]["accuracy"] == report["result"]["accuracy"], "no label changes"
    assert report["served"]["loss"] < report["result"]["loss"]
    served = lines(log, "served_calibration_error")[0]["served_calibration_error"]
    assert served == pytest.approx(made.metrics["served_calibration_error"], abs=1e-5)


def test_fp32_asks_nobody(job: Job) -> None:
    assert job.run(compile="fp32") == 0, job.failure
    made = job.card.openvino
    assert made
    assert (made.precision, made.verdicts) == ("fp32", ())


def test_the_same_job_makes_the_same_bytes(job: Job, tmp_path: Path) -> None:
    other = Job(tmp_path / "other")
    data_set(other.channel)
    assert job.run(compile="auto") == other.run(compile="auto") == 0
    for name in ("card.json", "weights.safetensors", "openvino/model.xml", "openvino/model.bin"):
        assert (job.model / name).read_bytes() == (other.model / name).read_bytes()


def test_every_knob_at_once_still_learns(job: Job) -> None:
    status = job.run(
        unfreeze="gradual",
        epochs="4",
        optimizer="sgd",
        lr="0.05",
        label_smoothing="0.1",
        mixup="0.2",
        cutmix="0.5",
        class_weights="balanced",
        ema="0.9",
        patience="8",
        image_size="32",
    )
    assert status == 0, job.failure
    assert job.card.metrics["accuracy"] > 0.4


def test_frozen_stages_stay_as_they_came_and_the_others_learn(job: Job) -> None:
    told = {"unfreeze": "all", "frozen": "4", "epochs": "1", "arch": "resnet18", "weights": "none"}
    assert job.run(**told, image_size="32") == 0, job.failure
    learnt = load_file(job.model / "weights.safetensors")
    given = load_pretrained(TrainConfig.from_strings(told), 3, job.channel).network.state_dict()
    moved = {name for name in learnt if not learnt[name].equal(given[name])}
    frozen = ("conv1.", "bn1.", "layer1.", "layer2.")
    assert not any(name.startswith(frozen) for name in moved)
    assert any(name.startswith("layer3.") for name in moved)
    assert "fc.weight" in moved


def test_early_stopping_keeps_the_best_epoch(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert job.run(epochs="40", patience="2", lr="0.5", optimizer="sgd", clip="0") == 0, job.failure
    losses = [each["validation_loss"] for each in lines(capsys.readouterr().out, "test_loss")]
    assert len(losses) < 40
    assert losses.index(min(losses)) == len(losses) - 3


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"lr": "fast"}, ["Hyperparameter lr must be"]),
        ({"learning_rate": "0.1"}, ["no hyperparameter 'learning-rate'"]),
        ({"arch": "resnet5"}, ["Hyperparameter arch", "'resnet5'"]),
        (
            {"arch": "alexnet", "weights": "none", "unfreeze": "all", "image_size": "32"},
            ["image-size: images of 32 x 32 pixels do not fit"],
        ),
        (
            {"unfreeze": "all", "image_size": "33", "batch_size": "1", "frozen": "3"},
            ["batch-size: a process trains on 1 image"],
        ),
        ({"lr": "1000000", "optimizer": "sgd", "clip": "0"}, ["Lower --lr (it is 1e+06)"]),
        ({"lr": "1000", "clip": "0"}, ["Training diverged", "Lower --lr (it is 1000)"]),
    ],
    ids=[
        *("no number", "unknown", "no network", "image too small", "one value a channel"),
        *("to infinity", "exploding"),
    ],
)
def test_what_cannot_be_trained_with_is_told(
    job: Job, changed: dict[str, str], words: list[str]
) -> None:
    assert_failed(job, job.run(**changed), *words)


def test_a_loss_that_is_no_number_is_told(job: Job) -> None:
    status = job.run(unfreeze="all", optimizer="sgd", clip="0", lr="1000000", backbone_lr="1")
    assert_failed(job, status, "The loss became nan at step", "diverged")


def test_a_corrupt_image_is_told_before_anything_is_computed(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    jpeg = encoded(picture(), "JPEG")
    (job.channel / "train" / "red" / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    assert_failed(job, job.run(), "train/red/cut.jpg", "max-unreadable")
    assert "features" not in capsys.readouterr().out


def test_a_full_disk_is_told(job: Job) -> None:
    job.checkpoint.parent.mkdir(parents=True)
    job.checkpoint.with_name(f"{job.checkpoint.name}.part").symlink_to("/dev/full")
    assert_failed(job, job.run(), "The disk is full", "larger volume")


def test_a_disk_that_fills_up_at_the_end_leaves_no_half_model(job: Job) -> None:
    job.model.mkdir(parents=True)
    (job.model / "weights.safetensors.part").symlink_to("/dev/full")
    assert_failed(job, job.run(), "The disk is full")


def test_a_folder_that_nobody_filled_is_told(tmp_path: Path) -> None:
    job = Job(tmp_path)
    assert_failed(job, job.run(), "There is no folder of images")


@pytest.mark.slow
@pytest.mark.parametrize("unfreeze", ["head", "all"])
def test_resnet50_starts_from_the_channel_of_weights(unfreeze: str, job: Job) -> None:
    channel = job.channel.parent / "weights"
    channel.mkdir()
    torch.manual_seed(0)
    torch.save(create_network("resnet50", 1000).state_dict(), channel / "resnet50.pth")
    status = job.run(
        arch="resnet50",
        unfreeze=unfreeze,
        epochs="1",
        batch_size="16",
        lr="0.0001",
        image_size="32",
    )
    assert status == 0, job.failure
    made = job.card
    assert made.architecture == "resnet50"
    assert made.provenance["weights"].startswith("channel resnet50.pth sha256:")
    assert (made.preprocessing.resize, made.preprocessing.crop) == (33, 32)


def test_weights_of_another_network_are_refused_by_what_does_not_fit(job: Job) -> None:
    channel = job.channel.parent / "weights"
    channel.mkdir()
    torch.save(create_network("resnet18", 1000).state_dict(), channel / "resnet18.pth")
    status = job.run(arch="resnet34", epochs="1")
    assert_failed(job, status, "belong to another network", "layer1.2")


def test_a_file_of_more_than_tensors_is_refused(job: Job) -> None:
    channel = job.channel.parent / "weights"
    channel.mkdir()
    torch.save(torch.nn.Linear(2, 2), channel / "model.pth")
    assert_failed(job, job.run(), "model.pth holds more than named tensors", "state_dict")


def test_without_weights_the_three_ways_to_them_are_named(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    status = job.run(arch="resnet18")
    assert_failed(job, status, "network access", "channel `weights`", "bundled", "weights to none")


def test_random_weights_are_said_so_on_the_card(job: Job) -> None:
    assert job.run(weights="none", epochs="1") == 0, job.failure
    assert job.card.provenance["weights"] == "not pretrained"


def test_one_folder_is_enough(tmp_path: Path) -> None:
    job = Job(tmp_path)
    folder(job.channel, {"red": 20, "green": 20, "blue": 20, "yellow": 20})
    assert job.run(epochs="1") == 0, job.failure
    assert job.card.metrics["images"] == 12
