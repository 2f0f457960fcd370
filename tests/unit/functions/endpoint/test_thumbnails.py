"""Pictures for reports, asked of the endpoint; a report without them is a report too."""

import io
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from domain.route import ENDPOINT_BYTES
from functions.endpoint.thumbnails import MOST_BYTES, Thumbnails
from tests.support.fakes.aws import FakeS3, error
from tests.support.worlds.uploads import active, model_error

JPEG = b"\xff\xd8\xff small"


@dataclass
class Endpoint:
    answer: bytes | ClientError = JPEG
    requests: list[dict[str, Any]] = field(default_factory=list)

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if isinstance(self.answer, ClientError):
            raise self.answer
        return {"Body": io.BytesIO(self.answer)}


def thumbnails(endpoint: Endpoint, body: bytes = b"cat") -> Thumbnails:
    s3: Any = FakeS3()
    s3.put_object(Bucket="bucket", Key="inbox/cat.jpg", Body=body)
    client: Any = endpoint
    return Thumbnails(s3, "bucket", client, lambda: active(1))


def test_a_thumbnail_is_what_the_endpoint_makes_of_the_image() -> None:
    endpoint = Endpoint()
    assert thumbnails(endpoint).of("inbox/cat.jpg") == JPEG
    (request,) = endpoint.requests
    assert (request["Accept"], request["Body"]) == ("image/jpeg", b"cat")


@pytest.mark.parametrize("answer", [b'{"labels": []}', JPEG + bytes(MOST_BYTES), b""])
def test_what_is_no_small_jpeg_is_no_thumbnail(answer: bytes) -> None:
    assert thumbnails(Endpoint(answer)).of("inbox/cat.jpg") is None


def test_an_image_that_is_gone_or_too_large_is_not_asked_for() -> None:
    endpoint = Endpoint()
    assert thumbnails(endpoint).of("inbox/gone.jpg") is None
    assert thumbnails(endpoint, bytes(ENDPOINT_BYTES + 1)).of("inbox/cat.jpg") is None
    assert endpoint.requests == []


def test_a_refused_image_is_the_image_s_trouble_and_the_next_one_is_asked_for() -> None:
    endpoint = Endpoint(model_error(400, "not an image"))
    made = thumbnails(endpoint)
    assert [made.of("inbox/cat.jpg") for _ in range(5)] == [None] * 5
    assert len(endpoint.requests) == 5


@pytest.mark.parametrize(
    "trouble", [model_error(503, "busy"), error("InvokeEndpoint", 400, "ValidationError")]
)
def test_an_endpoint_in_trouble_is_soon_left_alone(trouble: ClientError) -> None:
    endpoint = Endpoint(trouble)
    made = thumbnails(endpoint)
    assert [made.of("inbox/cat.jpg") for _ in range(5)] == [None] * 5
    assert len(endpoint.requests) == 2
