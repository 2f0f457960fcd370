"""The container contract of SageMaker, held by the real process."""

import contextlib
import gzip
import io
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from skimage import data

from domain.model import ModelId
from domain.reply import Labelled, Refused, from_json
from serving.decoding.decode import decode
from tests.support.builders import images
from tests.support.builders.images import encoded, picture
from tests.support.builders.profiles import SPACES, matrix_profile
from tests.support.worlds.serving_process import ROOT, Serving, free_port, serving, spawn

Model = tuple[Path, ModelId]


def test_ping_is_answered_with_200(server: Serving) -> None:
    assert httpx.get(f"{server.url}/ping").status_code == 200


def test_execution_parameters_fit_batch_transform(server: Serving) -> None:
    told = httpx.get(f"{server.url}/execution-parameters").json()
    assert told["BatchStrategy"] == "SINGLE_RECORD"
    assert 1 <= told["MaxConcurrentTransforms"] <= 100
    assert told["MaxConcurrentTransforms"] * told["MaxPayloadInMB"] <= 100


def test_a_photo_is_labelled_by_the_model_that_was_named(
    server: Serving, random_model: Model
) -> None:
    reply = from_json(server.post(encoded(picture(300, 200))).content)
    assert isinstance(reply, Labelled)
    assert {label.label for label in reply.labels} == {"cat", "dog", "bird"}
    assert sum(label.score for label in reply.labels) == pytest.approx(1, abs=1e-4)
    assert reply.server.model_id == str(random_model[1])


def test_a_file_and_its_array_are_answered_alike(server: Serving) -> None:
    image = picture(300, 200)
    stream = io.BytesIO()
    np.save(stream, np.asarray(image))
    file = from_json(server.post(encoded(image)).content)
    array = from_json(server.post(stream.getvalue(), Content_Type="application/x-npy").content)
    assert isinstance(file, Labelled)
    assert isinstance(array, Labelled)
    assert array.labels == file.labels


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_the_request_of_the_sdk_2_is_answered_with_scores(server: Serving, dtype: str) -> None:
    """`PyTorchPredictor(endpoint).predict(array)` of version 2.257, by its defaults."""
    values = np.asarray(picture(300, 200))
    stream = io.BytesIO()
    np.save(stream, values if dtype == "uint8" else values / 255)
    npy = "application/x-npy"
    answer = server.post(stream.getvalue(), Content_Type=npy, Accept=npy)
    scores = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert answer.headers["content-type"] == npy
    assert (scores.shape, scores.dtype) == ((1, 3), np.float32)
    assert scores.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kind", [None, "binary/octet-stream"])
def test_the_request_of_the_sdk_3_is_answered_with_labels(
    server: Serving, kind: str | None
) -> None:
    """`Endpoint.invoke(body=array)` of version 3 sends neither Accept nor a content type."""
    stream = io.BytesIO()
    np.save(stream, np.asarray(picture(300, 200)))
    declared = {} if kind is None else {"Content_Type": kind}
    assert isinstance(from_json(server.post(stream.getvalue(), **declared).content), Labelled)


def test_a_packed_file_is_answered_as_the_file(server: Serving) -> None:
    image = encoded(picture(300, 200))
    usual, packed = (from_json(server.post(body).content) for body in (image, gzip.compress(image)))
    assert isinstance(usual, Labelled)
    assert isinstance(packed, Labelled)
    assert packed.labels == usual.labels


@pytest.mark.parametrize("space", SPACES)
def test_a_profile_counts_in_the_server_as_well(server: Serving, space: str) -> None:
    """Through a decoder process, though the JPEG is small."""
    stream = io.BytesIO()
    image = picture(300, 200)
    image.save(stream, "JPEG", quality=95, icc_profile=matrix_profile(*SPACES[space]))
    shown = decode(stream.getvalue(), 50_000_000, 65_536).image
    tagged = from_json(server.post(stream.getvalue()).content)
    converted = from_json(server.post(encoded(shown)).content)
    assert isinstance(tagged, Labelled)
    assert isinstance(converted, Labelled)
    scores = [{label.label: label.score for label in reply.labels} for reply in (tagged, converted)]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


def test_a_connection_is_kept_for_the_next_request(server: Serving) -> None:
    ports = set()
    with httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            answer = client.post("/invocations", content=encoded(picture()))
            assert answer.status_code == 200
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(ports) == 1


@pytest.mark.parametrize("name", images.hostile())
def test_a_hostile_file_is_a_4xx_and_the_server_lives(name: str, server: Serving) -> None:
    response = server.post(images.hostile()[name][0])
    assert response.status_code == 400
    assert isinstance(from_json(response.content), Refused)


def test_a_transform_job_gets_200_for_every_object(random_model: Model, tmp_path: Path) -> None:
    with serving(*random_model, tmp_path / "log", SAGEMAKER_BATCH="true") as job:
        answers = [job.post(body) for body in (b"text", b"", encoded(picture()))]
    replies = [from_json(answer.content) for answer in answers]
    codes = [reply.code if isinstance(reply, Refused) else "labelled" for reply in replies]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert codes == ["not_an_image", "empty", "labelled"]


def test_sigterm_lets_the_request_in_flight_finish(random_model: Model, tmp_path: Path) -> None:
    body = encoded(picture(300, 200))
    with serving(*random_model, tmp_path / "log") as running:
        with socket.create_connection(running.address, timeout=30) as caller:
            caller.sendall(head(len(body)))
            assert b"100 Continue" in caller.recv(1000)  # it is in flight now
            running.process.send_signal(signal.SIGTERM)
            await_refusal(running)
            caller.sendall(body)
            answer = b"".join(iter(lambda: caller.recv(65_536), b""))
        assert running.process.wait(30) == 0
    assert answer.startswith(b"HTTP/1.1 200")
    assert isinstance(from_json(answer.partition(b"\r\n\r\n")[2]), Labelled)


def head(length: int) -> bytes:
    lines = ("POST /invocations HTTP/1.1", "Host: x", f"Content-Length: {length}")
    return "\r\n".join((*lines, "Expect: 100-continue", "", "")).encode()


def await_refusal(running: Serving) -> None:
    """Until new connections are refused, or reset in the backlog: the server is draining."""
    with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):
        while True:
            socket.create_connection(running.address, timeout=5).close()


def refusal(log: Path, **environment: str) -> tuple[int, str]:
    process = spawn(log, **environment)
    return process.wait(120), log.read_text()


def test_a_missing_setting_is_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    assert refusal(tmp_path / "log") == (1, "serving: SORTBOX_MODEL_ID is not set\n")


def test_another_model_than_promised_is_not_served(random_model: Model, tmp_path: Path) -> None:
    folder, model = random_model
    promised = replace(model, digest="sha256:" + "0" * 64)
    code, told = refusal(
        tmp_path / "log",
        SM_MODEL_DIR=str(folder),
        SORTBOX_MODEL_ID=str(promised),
        SAGEMAKER_BIND_TO_PORT=str(free_port()),
    )
    assert code == 1
    assert "SORTBOX_MODEL_ID promises" in told
    assert "Traceback" not in told


def test_a_taken_port_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, told = refusal(
            tmp_path / "log",
            SM_MODEL_DIR=str(tmp_path / "absent"),
            SORTBOX_MODEL_ID="pets:1:sha256:" + "0" * 64,
            SAGEMAKER_BIND_TO_PORT=str(port),
        )
    assert code == 1
    assert told == f"serving: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("bundled")
    archive = folder / "model.tar.gz"
    made = subprocess.run(
        [sys.executable, "-m", "training.model.bundled", str(archive)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    from training.model.package import unpack

    card = unpack(archive, folder / "model")
    assert made.stdout == f"{card.digest}\n"
    model = ModelId(card.name, 1, card.digest)
    with serving(folder / "model", model, folder / "log") as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("chelsea.png", {"tabby", "tiger cat", "Egyptian cat"}),
        ("coffee.png", {"espresso"}),
        ("rocket.jpg", {"missile", "projectile"}),
        ("camera.png", {"tripod"}),
        ("motorcycle_left.png", {"moped", "motor scooter"}),
    ],
)
def test_the_bundled_model_knows_what_it_sees(
    photo: str, expected: set[str], bundled: Serving
) -> None:
    reply = from_json(bundled.post((Path(data.__file__).parent / photo).read_bytes()).content)
    assert isinstance(reply, Labelled)
    assert reply.labels[0].label in expected
