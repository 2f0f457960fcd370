"""Where the cloud cannot be reached, a page says so after few attempts, and what to do."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError

from aws.bucket import Bucket
from console.context import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS, SLOW, Console, bound_clients
from infra.sentences import explain
from infra.stage import Stage
from tests.support.worlds.consoles import BUCKET, REGION, client


@contextmanager
def hanging_up() -> Iterator[tuple[str, list[int]]]:
    """The address of a server that ends every connection, and how many it has ended."""
    ended = [0]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1)
                    ended[0] += 1

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", ended
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture
def own_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """boto3's, for this test alone."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    yield
    boto3.setup_default_session()


@pytest.mark.usefixtures("own_session")
def test_a_page_without_a_cloud_says_what_to_do_after_two_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hanging_up() as (address, ended):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        bound_clients()
        s3 = boto3.client("s3")
        console = Console(
            stage=Stage("dev"),
            bucket=Bucket(s3, BUCKET),
            sagemaker=boto3.client("sagemaker"),
            runtime=boto3.client("sagemaker-runtime"),
            sqs=boto3.client("sqs"),
            folder=tmp_path,
        )
        answer = client(console).get("/models")
    assert answer.status_code == 502
    assert "The local cloud does not answer. Run <code>./sortbox up</code>, and" in answer.text
    assert ended == [ATTEMPTS]
    config: Any = s3.meta.config
    assert config.connect_timeout == CONNECT_SECONDS


@pytest.mark.usefixtures("own_session")
def test_a_cloud_that_never_answers_is_waited_for_some_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        bound_clients(read_seconds=0.2)
        with pytest.raises(ReadTimeoutError) as caught:
            boto3.client("s3").head_object(Bucket=BUCKET, Key="inbox/a.jpg")
    assert ATTEMPTS * READ_SECONDS <= 10, "a page says within some ten seconds that nobody answers"
    assert "The local cloud does not answer" in (explain(caught.value) or "")


@pytest.mark.usefixtures("own_session")
def test_an_upload_and_an_endpoint_that_starts_are_waited_for_longer() -> None:
    bound_clients()
    quick: Any = boto3.client("s3").meta.config
    slow: Any = boto3.client("s3", config=SLOW).meta.config
    assert (quick.read_timeout, slow.read_timeout) == (READ_SECONDS, 60)
    assert slow.connect_timeout == CONNECT_SECONDS
    assert slow.retries == quick.retries
