"""What the endpoint says becomes an answer only where it is evidence about the image."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from domain.reply import MAX_BYTES, FeatureVector, Labelled, Refused, Server, to_json
from functions.endpoint.classify import ask
from tests.support.fakes.aws import error
from tests.support.worlds.uploads import FakeEndpoint, active, model, model_error, reply_to


def ask_of(endpoint: Any, content: bytes = b"cat") -> object:
    return ask(endpoint, active(1), content)


def troubled(trouble: Exception) -> FakeEndpoint:
    def raise_it() -> None:
        raise trouble

    return FakeEndpoint(trouble=raise_it)


class Endpoint:
    """Answers every request with one body."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.requests: list[dict[str, Any]] = []

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return {"Body": io.BytesIO(self.body)}


def test_the_bytes_go_to_the_active_models_endpoint_as_they_are() -> None:
    endpoint = Endpoint(to_json(reply_to(b"cat", model(1))).encode())
    assert ask_of(endpoint) == reply_to(b"cat", model(1))
    assert endpoint.requests == [
        {
            "EndpointName": "sortbox-test",
            "Body": b"cat",
            "ContentType": "application/x-image",
            "Accept": "application/json",
        }
    ]


def test_features_come_only_where_they_are_asked_for() -> None:
    body = json.loads(to_json(reply_to(b"cat", model(1))))
    vector = {"dtype": "float16", "length": 2, "base64": "AAAAPA=="}
    endpoint: Any = Endpoint(json.dumps(body | {"features": vector}).encode())
    reply = ask(endpoint, active(1), b"cat", features=True)
    assert isinstance(reply, Labelled)
    assert reply.features == FeatureVector("float16", 2, "AAAAPA==")
    assert endpoint.requests[0]["CustomAttributes"] == "features=true"


def test_a_refusal_by_our_container_keeps_its_code_and_its_sentence() -> None:
    refused = reply_to(b"junk", model(1))
    assert ask_of(troubled(model_error(415, to_json(refused)))) == refused


@pytest.mark.parametrize("status", [400, 404, 413, 415, 422, 499])
@pytest.mark.parametrize("words", ["<html>no</html>", "", "{}", '{"code": "x"}'])
def test_a_refusal_in_other_words_names_its_status(status: int, words: str) -> None:
    refused = ask_of(troubled(model_error(status, words)))
    server = Server(str(model(1)), "unknown")
    sentence = f"The endpoint refused this image with HTTP status {status}."
    assert refused == Refused(server, "refused", sentence)


def test_labels_in_a_refusal_are_no_answer() -> None:
    refused = ask_of(troubled(model_error(400, to_json(reply_to(b"cat", model(1))))))
    assert isinstance(refused, Refused)
    assert refused.code == "refused"


@pytest.mark.parametrize(
    "trouble",
    [
        *(model_error(status, to_json(reply_to(b"junk", model(1)))) for status in (408, 429, 500)),
        model_error(503, "overloaded"),
        error("InvokeEndpoint", 400, "ThrottlingException"),
        error("InvokeEndpoint", 400, "ValidationError"),
        error("InvokeEndpoint", 403, "AccessDeniedException"),
        error("InvokeEndpoint", 429, "ModelNotReadyException"),
        error("InvokeEndpoint", 500, "InternalFailure"),
        error("InvokeEndpoint", 503, "ServiceUnavailable"),
    ],
    ids=lambda trouble: str(trouble.response),
)
def test_trouble_of_ours_is_raised(trouble: ClientError) -> None:
    with pytest.raises(ClientError) as raised:
        ask_of(troubled(trouble))
    assert raised.value is trouble


def test_a_model_error_without_a_status_is_raised() -> None:
    with pytest.raises(ClientError):
        ask_of(troubled(error("InvokeEndpoint", 424, "ModelError")))


def test_a_time_out_is_raised() -> None:
    with pytest.raises(ReadTimeoutError):
        ask_of(troubled(ReadTimeoutError(endpoint_url="https://runtime")))


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"null", b"[]", b'{"labels": []}', b"\xff", b"x" * (MAX_BYTES + 1)]
)
def test_a_200_that_is_not_a_reply_is_raised(body: bytes) -> None:
    with pytest.raises(ValueError, match="reply"):
        ask_of(Endpoint(body))


def test_only_the_bound_is_read_of_an_endless_reply() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size == MAX_BYTES + 1
            return b" " * size

    endpoint = Endpoint(b"")
    endless: Callable[..., dict[str, Any]] = lambda **request: {"Body": Endless()}  # noqa: E731
    endpoint.invoke_endpoint = endless  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="longer than"):
        ask_of(endpoint)
