import asyncio
import bz2
import gzip
import io
import json
import lzma
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from domain.reply import Labelled, Refused, from_json
from serving.engines import Engine
from serving.engines.outputs import Outputs
from serving.preprocess import Pixels
from tests.support.builders import expensive, images
from tests.support.builders.colours import ENVIRONMENT, Client, colours
from tests.support.builders.images import BLUE, GREEN, RED, encoded, plain

# Decoders warn about odd files, and the server ignores that: the answer is what counts.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"

Start = Callable[..., Client]


@pytest.fixture
def start() -> Iterator[Start]:
    started = []

    def start(network: Engine = colours, **env: str) -> Client:
        started.append(Client(network, **env))
        return started[-1]

    yield start
    for client in started:
        client.classifier.close()


def npy(array: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_ping_says_that_the_server_lives(start: Start) -> None:
    assert start().get("/ping").status_code == 200


def test_ping_fails_once_the_batcher_is_gone(start: Start) -> None:
    client = start()
    client.classifier.close()
    assert client.get("/ping").status_code == 503


def test_execution_parameters_are_what_batch_transform_asks_for(start: Start) -> None:
    client = start(SAGEMAKER_MAX_PAYLOAD_IN_MB="20", SAGEMAKER_MAX_CONCURRENT_TRANSFORMS="3")
    assert client.get("/execution-parameters").json() == {
        "MaxConcurrentTransforms": 3,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": 20,
    }


def test_a_photo_is_answered_with_its_labels_best_first(start: Start) -> None:
    response = start().post(encoded(plain(GREEN, 30, 20)), Content_Type="image/jpeg")
    reply = from_json(response.content)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert isinstance(reply, Labelled)
    assert [label.label for label in reply.labels] == ["green", "red", "blue"]
    assert reply.labels[0].score == pytest.approx(256 / 258, abs=1e-5)
    assert (reply.width, reply.height, reply.format) == (30, 20, "png")
    assert (reply.server.model_id, reply.server.container) == (
        ENVIRONMENT["SORTBOX_MODEL_ID"],
        "sha256:cd",
    )


@pytest.mark.parametrize(
    "kind",
    [
        *("image/png", "IMAGE/HEIC", "application/x-image", "application/octet-stream; a=b"),
        *("binary/octet-stream", "application/x-npy", ""),
    ],
)
@pytest.mark.parametrize("batch", ["true", "false"])
def test_the_declared_type_does_not_matter_to_a_file(kind: str, batch: str, start: Start) -> None:
    """A type that the SageMaker SDK has by default says nothing of a file that a person sends."""
    response = start(SAGEMAKER_BATCH=batch).post(encoded(plain(RED)), Content_Type=kind)
    assert response.status_code == 200
    assert isinstance(from_json(response.content), Labelled)


def test_an_array_is_answered_as_its_file_is(start: Start) -> None:
    client, image = start(), images.picture(50, 40)
    by_file = from_json(client.post(encoded(image)).content)
    by_array = client.post(npy(np.asarray(image)), Content_Type="application/x-npy")
    reply = from_json(by_array.content)
    assert isinstance(by_file, Labelled)
    assert isinstance(reply, Labelled)
    assert reply.labels == by_file.labels
    assert (reply.width, reply.height, reply.format) == (50, 40, "npy")


def test_many_images_in_one_array_are_answered_in_order(start: Start) -> None:
    stack = np.stack([np.asarray(plain(colour, 32, 24)) for colour in (BLUE, RED, GREEN) * 4])
    response = start().post(npy(stack), Content_Type="application/x-npy")
    replies = [from_json(json.dumps(reply)) for reply in response.json()]
    best = [reply.labels[0].label for reply in replies if isinstance(reply, Labelled)]
    assert best == ["blue", "red", "green"] * 4


@pytest.mark.parametrize(
    "kind",
    ["application/x-npy", "application/octet-stream", "binary/octet-stream", "image/jpeg", ""],
)
def test_an_array_is_known_by_its_bytes(kind: str, start: Start) -> None:
    response = start().post(npy(np.asarray(plain(BLUE))), Content_Type=kind)
    reply = from_json(response.content)
    assert isinstance(reply, Labelled)
    assert (reply.labels[0].label, reply.format) == ("blue", "npy")


def test_a_file_of_several_images_is_refused_where_one_answer_is_due(start: Start) -> None:
    stack = npy(np.stack([np.asarray(plain(RED))] * 2))
    client = start()
    assert len(client.post(stack, Content_Type="binary/octet-stream").json()) == 2
    for kind in ("application/x-image", "image/png"):
        reply = from_json(client.post(stack, Content_Type=kind).content)
        assert isinstance(reply, Refused)
        assert (reply.code, "of 2 images" in reply.message) == ("unsupported_array", True)


@pytest.mark.parametrize(
    "accept", ["application/x-npy", "Application/X-NPY; a=b", "a/b, application/x-npy"]
)
def test_who_accepts_only_arrays_gets_the_scores(accept: str, start: Start) -> None:
    client = start()
    one = client.post(encoded(plain(GREEN)), Accept=accept)
    several = np.stack([np.asarray(plain(colour)) for colour in (BLUE, RED)])
    two = client.post(npy(several), Content_Type="application/x-npy", Accept=accept)
    scores = [np.load(io.BytesIO(answer.content), allow_pickle=False) for answer in (one, two)]
    assert one.headers["content-type"] == "application/x-npy"
    assert [(array.shape, array.dtype) for array in scores] == [
        ((1, 3), np.float32),
        ((2, 3), np.float32),
    ]
    assert [array.argmax(axis=1).tolist() for array in scores] == [[1], [2, 0]]


def test_labels_come_first_where_both_are_accepted(start: Start) -> None:
    accept = "application/x-npy, application/json"
    response = start().post(encoded(plain(GREEN)), Accept=accept)
    assert response.headers["content-type"] == "application/json"


def test_a_refusal_is_json_whatever_is_accepted(start: Start) -> None:
    reply = from_json(start().post(b"text", Accept="application/x-npy").content)
    assert isinstance(reply, Refused)


@pytest.mark.parametrize("batch", ["true", "false"])
def test_what_gzip_has_packed_is_answered_as_it_was(batch: str, start: Start) -> None:
    client, image = start(SAGEMAKER_BATCH=batch), encoded(images.picture(50, 40))
    array = npy(np.asarray(plain(RED)))
    for body in (image, array):
        packed, usual = client.post(gzip.compress(body)), client.post(body)
        reply, expected = from_json(packed.content), from_json(usual.content)
        assert isinstance(reply, Labelled)
        assert isinstance(expected, Labelled)
        assert reply.labels == expected.labels
    thumbnails = [client.post(body, Accept="image/jpeg") for body in (image, gzip.compress(image))]
    assert thumbnails[0].content == thumbnails[1].content


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        (gzip.compress(bytes(100_001)), "too_large", "unpacks to more than 100,000 bytes"),
        (gzip.compress(gzip.compress(b"x")), "unsupported_format", "packed twice with gzip"),
        (gzip.compress(b"text"), "not_an_image", "not an image"),
        (bz2.compress(b"x"), "unsupported_format", "packed with bzip2"),
        (lzma.compress(b"x"), "unsupported_format", "packed with xz"),
    ],
    ids=["bomb", "twice", "text", "bzip2", "xz"],
)
def test_packed_files_are_refused_by_name(
    body: bytes, code: str, sentence: str, start: Start
) -> None:
    reply = from_json(start().post(body).content)
    assert isinstance(reply, Refused)
    assert reply.code == code
    assert sentence in reply.message


@pytest.mark.parametrize(
    ("requests", "count"), [("top_k=1", 1), ("trace=x; TOP_K = 2", 2), ("", 3)]
)
def test_a_caller_chooses_how_many_labels(requests: str, count: int, start: Start) -> None:
    reply = from_json(start().post(encoded(plain(RED)), **{ATTRIBUTES: requests}).content)
    assert isinstance(reply, Labelled)
    assert len(reply.labels) == count


@pytest.mark.parametrize(
    "wrong", ["top_k=", "top_k=0", "top_k=-1", "top_k=1001", "top_k=many", "top_k=0000001009"]
)
def test_a_top_k_that_is_no_number_is_told_so(wrong: str, start: Start) -> None:
    response = start().post(encoded(plain(RED)), **{ATTRIBUTES: wrong})
    assert response.status_code == 400
    assert "top_k must be a whole number" in response.json()["message"]


def test_features_are_answered_only_where_they_are_asked_for(start: Start) -> None:
    client, body = start(), encoded(plain(RED, 8, 8))
    plainly = client.post(body).json()
    asked = client.post(body, **{ATTRIBUTES: "top_k=1, features=true"})
    reply = from_json(asked.content)
    assert "features" not in plainly
    assert isinstance(reply, Labelled)
    assert reply.features is not None
    assert (len(reply.labels), reply.features.dtype, reply.features.length) == (1, "float16", 3)
    assert np.frombuffer(reply.features.to_bytes(), "<f2").tolist() == [256, 1, 1]
    two = client.post(npy(np.stack([np.asarray(plain(RED))] * 2)), **{ATTRIBUTES: "Features=TRUE"})
    assert [entry["features"] for entry in two.json()] == [asked.json()["features"]] * 2


def test_features_beyond_half_precision_are_its_largest_number(start: Start) -> None:
    def large(pixels: Pixels, alone: bool) -> Outputs:
        return Outputs(colours(pixels, alone).scores, np.full((len(pixels), 1), -1e9, np.float32))

    reply = from_json(
        start(large).post(encoded(plain(RED)), **{ATTRIBUTES: "features=true"}).content
    )
    assert isinstance(reply, Labelled)
    assert reply.features is not None
    assert np.frombuffer(reply.features.to_bytes(), "<f2").tolist() == [-65504]


def test_a_network_without_features_answers_without_them(start: Start) -> None:
    def old(pixels: Pixels, alone: bool) -> Outputs:
        return Outputs(colours(pixels, alone).scores, None)

    response = start(old).post(encoded(plain(RED)), **{ATTRIBUTES: "features=true"})
    assert response.status_code == 200
    assert "features" not in response.json()


@pytest.mark.parametrize(
    ("attribute", "accept", "sentence"),
    [
        ("features=yes", "", "features must be true or false"),
        ("features=true", "application/x-npy", "application/json only"),
    ],
)
def test_features_that_cannot_be_answered_are_told_so(
    attribute: str, accept: str, sentence: str, start: Start
) -> None:
    response = start().post(encoded(plain(RED)), Accept=accept, **{ATTRIBUTES: attribute})
    assert response.status_code == 400
    assert sentence in response.json()["message"]


HOSTILE = images.hostile()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_status_at_an_endpoint(name: str, start: Start) -> None:
    body, code = HOSTILE[name]
    response = start().post(body)
    reply = from_json(response.content)
    assert response.status_code == 400
    assert isinstance(reply, Refused)
    assert (reply.code, reply.server.container) == (code, "sha256:cd")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_does_not_fail_a_transform_job(name: str, start: Start) -> None:
    body, code = HOSTILE[name]
    response = start(SAGEMAKER_BATCH="true").post(body)
    reply = from_json(response.content)
    assert response.status_code == 200
    assert isinstance(reply, Refused)
    assert reply.code == code


async def trickle(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1_000):
        yield bytes(1_000)


@pytest.mark.parametrize(("batch", "status"), [("false", 413), ("true", 200)])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_above_the_bound_is_refused(
    announced: bool, batch: str, status: int, start: Start
) -> None:
    client = start(SAGEMAKER_BATCH=batch)

    async def send() -> httpx.Response:
        content = bytes(200_000) if announced else trickle(200_000)
        return await client.http.post("/invocations", content=content)

    response = asyncio.run(send())
    reply = from_json(response.content)
    assert response.status_code == status
    assert isinstance(reply, Refused)
    assert reply.code == "too_large"


@pytest.mark.parametrize("batch", ["false", "true"])
def test_a_content_type_of_another_kind_is_415_for_a_job_too(batch: str, start: Start) -> None:
    client = start(SAGEMAKER_BATCH=batch)
    response = client.post(encoded(plain(RED)), Content_Type="text/csv")
    reply = from_json(response.content)
    assert response.status_code == 415
    assert isinstance(reply, Refused)
    assert reply.code == "unsupported_content_type"


@pytest.mark.parametrize(
    ("accept", "status"),
    [("*/*", 200), ("text/csv, application/json;q=0.5", 200), ("", 200), ("image/png", 406)],
)
def test_the_answer_is_json_or_nothing(accept: str, status: int, start: Start) -> None:
    assert start().post(encoded(plain(RED)), Accept=accept).status_code == status


def test_a_fault_of_ours_is_a_constant_500(start: Start) -> None:
    def broken(pixels: Pixels, alone: bool) -> Outputs:
        raise RuntimeError("secret detail")

    response = start(broken).post(encoded(plain(RED)))
    assert response.status_code == 500
    assert response.json() == {"message": "The server failed; the image was not judged."}


@pytest.mark.parametrize(("batch", "busy"), [("false", 429), ("true", 503)])
def test_one_too_many_is_told_to_come_back(start: Start, batch: str, busy: int) -> None:
    """A 5xx of a busy endpoint would ring the alarm that undoes an update; a job's are retried."""
    entered, allowed = threading.Event(), threading.Event()

    def slow(pixels: Pixels, alone: bool) -> Outputs:
        entered.set()
        assert allowed.wait(10)
        return colours(pixels, alone)

    client = start(slow, SORTBOX_QUEUE="1", SAGEMAKER_BATCH=batch)

    async def crowd() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        body = encoded(plain(RED))
        first = asyncio.ensure_future(client.invoke(body))
        assert await asyncio.to_thread(entered.wait, 10)
        second = await client.invoke(body)
        allowed.set()
        return await first, second, await client.invoke(body)

    first, second, third = asyncio.run(crowd())
    assert (first.status_code, second.status_code, third.status_code) == (200, busy, 200)
    assert second.headers["Retry-After"] == "1"


LONG = expensive.many_scans(4000, 4000, 25)
"""Within the bounds of its structure, and half a second of work."""


@pytest.mark.parametrize(("batch", "status"), [("false", 400), ("true", 200)])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(LONG, id="by its time"),
        pytest.param(expensive.many_scans(4000, 4000, 100), id="by its scans"),
        pytest.param(expensive.heic_grid(512, 64, 64), id="by its tiles"),
    ],
)
def test_an_image_that_costs_too_much_is_refused_on_both_roads(
    body: bytes, batch: str, status: int, start: Start
) -> None:
    response = start(SAGEMAKER_BATCH=batch, SORTBOX_DECODE_MS="100").post(body)
    reply = from_json(response.content)
    assert response.status_code == status
    assert isinstance(reply, Refused)
    assert reply.code == "too_expensive"


@pytest.mark.parametrize("batch", ["false", "true"])
def test_its_thumbnail_is_refused_too(batch: str, start: Start) -> None:
    response = start(SAGEMAKER_BATCH=batch, SORTBOX_DECODE_MS="100").post(LONG, Accept="image/jpeg")
    assert json.loads(response.content)["code"] == "too_expensive"


def test_an_expensive_image_holds_back_nobody(start: Start) -> None:
    """As many as may be decoded at once, and more; the small ones overtake them all."""
    client = start(SORTBOX_DECODE_MS="60000")

    async def crowd() -> list[str]:
        order: list[str] = []

        async def send(name: str, body: bytes) -> None:
            assert (await client.invoke(body)).status_code == 200
            order.append(name)

        large = [asyncio.ensure_future(send("large", LONG)) for _ in range(4)]
        await asyncio.sleep(0.05)
        small = (encoded(plain(RED), form) for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP"))
        await asyncio.gather(*(send("small", body) for body in small))
        await asyncio.gather(*large)
        return order

    order = asyncio.run(crowd())
    assert order[-3:] == ["large"] * 3


def test_images_of_one_array_take_turns_with_others(start: Start) -> None:
    batches = []

    def slow(pixels: Pixels, alone: bool) -> Outputs:
        batches.append(len(pixels))
        time.sleep(0.02)
        return colours(pixels, alone)

    client = start(slow)

    async def crowd() -> int:
        arrays = [
            asyncio.ensure_future(
                client.invoke(expensive.small_arrays(32), {"Content-Type": "application/x-npy"})
            )
            for _ in range(5)
        ]
        await asyncio.sleep(0.1)
        before = len(batches)
        assert (await client.invoke(encoded(plain(RED), "JPEG"))).status_code == 200
        waited = len(batches) - before
        assert all(answer.status_code == 200 for answer in await asyncio.gather(*arrays))
        return waited

    assert asyncio.run(crowd()) < 12


def test_ping_fails_while_no_worker_finishes_anything_and_not_after(start: Start) -> None:
    entered, allowed = threading.Event(), threading.Event()

    def stuck(pixels: Pixels, alone: bool) -> Outputs:
        entered.set()
        assert allowed.wait(20)
        return colours(pixels, alone)

    client = start(stuck, SORTBOX_STALL_SECONDS="1")

    async def story() -> list[int]:
        waiting = asyncio.ensure_future(client.invoke(encoded(plain(RED), "JPEG")))
        assert await asyncio.to_thread(entered.wait, 10)
        replies = [(await client.http.get("/ping")).status_code]
        await asyncio.sleep(1.2)
        replies.append((await client.http.get("/ping")).status_code)
        allowed.set()
        assert (await waiting).status_code == 200
        return [*replies, (await client.http.get("/ping")).status_code]

    assert asyncio.run(story()) == [200, 503, 200]


def test_ping_fails_while_the_decoders_hang(start: Start) -> None:
    client = start(colours, SORTBOX_STALL_SECONDS="1", SORTBOX_DECODE_MS="20000")
    png, others = expensive.flat_png(4000, 4000), grandchildren()

    async def story() -> list[int]:
        waiting = asyncio.ensure_future(client.invoke(png))
        while not (decoders := grandchildren() - others):
            await asyncio.sleep(0.01)
        for decoder in decoders:
            decoder.suspend()
        replies = [(await client.http.get("/ping")).status_code]
        await asyncio.sleep(1.2)
        replies.append((await client.http.get("/ping")).status_code)
        for decoder in decoders:
            decoder.resume()
        assert (await waiting).status_code == 200
        return [*replies, (await client.http.get("/ping")).status_code]

    assert asyncio.run(story()) == [200, 503, 200]


def grandchildren() -> set[psutil.Process]:
    own = psutil.Process()
    return {child for child in own.children(recursive=True) if child.ppid() != own.pid}


def test_thumbnails_leave_places_for_photos(start: Start) -> None:
    """Sixty-four at once waited for each other, and took every place."""
    client = start(colours, SORTBOX_QUEUE="16")
    png = expensive.flat_png(2000, 2000)

    async def crowd() -> tuple[list[int], int]:
        requests = [client.invoke(png, {"Accept": "image/jpeg"}) for _ in range(32)]
        thumbnails = [asyncio.ensure_future(each) for each in requests]
        await asyncio.sleep(0)
        photo = await client.invoke(encoded(plain(RED)))
        answers = await asyncio.gather(*thumbnails)
        return [answer.status_code for answer in answers], photo.status_code

    statuses, photo = asyncio.run(crowd())
    assert (statuses.count(200), statuses.count(429), photo) == (2, 30, 200)
