"""A console over an S3 and SQS of moto, for its routes (`client`) and for a browser (`serve`)."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
from moto import mock_aws
from starlette.applications import Starlette

from aws.bucket import Bucket
from console.context import Console
from console.web.access import CSRF_HEADER, HOST, Access
from console.web.app import create_app
from console.web.server import listen
from infra.stage import Stage

BUCKET = "sortbox-dev-bucket"
REGION = "us-east-1"
ORIGIN = f"http://{HOST}:8123"


class Nobody:
    """A service that a test does not have: whatever is called of it fails the test."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"this test has no service that answers {name}")


NOBODY: Any = Nobody()


@contextmanager
def mocked_console(
    folder: Path, read_only: bool = False, sagemaker: Any = NOBODY, runtime: Any = NOBODY
) -> Iterator[Console]:
    """moto answers for S3 and SQS alone; SageMaker is what the test passes."""
    with mock_aws():
        session = boto3.Session("test", "test", region_name=REGION)
        s3 = session.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        folder.mkdir(exist_ok=True)
        yield Console(
            stage=Stage("dev"),
            bucket=Bucket(s3, BUCKET),
            sagemaker=sagemaker,
            runtime=runtime,
            sqs=session.client("sqs"),
            folder=folder,
            read_only=read_only,
        )


@dataclass(frozen=True)
class Client:
    """Sends what pages of the console send. Not for `/events`, which never ends."""

    app: Starlette
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url=ORIGIN, cookies=self.cookies
            ) as client:
                headers = self.headers | options.pop("headers", {})
                return await client.request(method, path, headers=headers, **options)

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


def client(console: Console) -> Client:
    """A client that has come in by the printed address."""
    access = Access(read_only=console.read_only)
    cookies = {f"sortbox-{httpx.URL(ORIGIN).port}": access.session}
    return Client(create_app(console, access), cookies, {CSRF_HEADER: access.csrf})


@dataclass(frozen=True)
class Served:
    """A console that serves in this process; `address` lets a browser in."""

    address: str
    origin: str


@contextmanager
def serve(console: Console, path: str = "/", port: int = 0) -> Iterator[Served]:
    """The real server, in a thread, until the block ends."""
    listening = listen(console, path, port)
    thread = threading.Thread(target=listening.run)
    thread.start()
    try:
        yield Served(listening.address, listening.address.split("/enter")[0])
    finally:
        listening.end()
        thread.join(timeout=30)
        assert not thread.is_alive(), "the server does not end"
