"""The state of the Lambda process: logger, metrics, AWS clients, threads and environment.

Clients and threads are created on first use, so that importing a handler needs no network.
"""

import contextvars
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import boto3
from aws_lambda_powertools import Logger, Metrics
from botocore.config import Config

if TYPE_CHECKING:
    from types_boto3_events.client import EventBridgeClient
    from types_boto3_s3.client import S3Client
    from types_boto3_sagemaker.client import SageMakerClient
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from types_boto3_sqs.client import SQSClient

P = ParamSpec("P")
T = TypeVar("T")
Event = dict[str, Any]
Handler = Callable[[Event, Any], Any]

THREADS = 16
"""The number of images that one invocation processes concurrently, mostly waiting for the
network."""

logger = Logger(service="sortbox")
metrics = Metrics(service="sortbox", namespace="Sortbox")


def lambda_handler(build: Callable[[Mapping[str, str]], Callable[[Event], Any]]) -> Handler:
    """A Lambda handler that calls `build` with the environment on its first event, and caches
    it."""

    @cache
    def build_once() -> Callable[[Event], Any]:
        handle = build(os.environ)
        metrics.set_default_dimensions(stage=os.environ["STAGE"])  # several stages an account
        return handle

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event: Event, context: Any) -> Any:
        return build_once()(event)

    return handler


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def log_context(subject: str) -> Iterator[None]:
    """Add the name of the image or folder to log lines and exceptions within the context."""
    logger.thread_safe_append_keys(correlation_id=subject)
    try:
        yield
    except BaseException as trouble:
        trouble.add_note(f"about {subject}")  # it is logged outside of this context
        raise


def count(metric: str, value: int = 1) -> None:
    metrics.add_metric(name=metric, unit="Count", value=value)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="sortbox")


def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run `work` in a thread of the pool, with the caller's context variables (the logger's
    keys)."""
    context = contextvars.copy_context()
    return _threads().submit(lambda: context.run(work, *args, **kwargs))


def _config(read_timeout: float, attempts: int) -> Config:
    return Config(
        connect_timeout=3,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=THREADS,
    )


@cache
def s3() -> "S3Client":
    return boto3.client("s3", config=_config(read_timeout=20, attempts=3))


@cache
def sqs() -> "SQSClient":
    return boto3.client("sqs", config=_config(read_timeout=20, attempts=3))


@cache
def events() -> "EventBridgeClient":
    """For notices: seconds at most, as they are sent at the end of a long step that is repeated."""
    return boto3.client("events", config=_config(read_timeout=5, attempts=2))


@cache
def sagemaker() -> "SageMakerClient":
    return boto3.client("sagemaker", config=_config(read_timeout=20, attempts=3))


@cache
def sagemaker_runtime() -> "SageMakerRuntimeClient":
    """For the endpoint: one attempt within the function's 60 s, as the queue retries errors."""
    return boto3.client("sagemaker-runtime", config=_config(read_timeout=45, attempts=1))


@cache
def sagemaker_probe() -> "SageMakerRuntimeClient":
    """For probing the endpoint after a time-out, within the rest of the function's 60 s."""
    return boto3.client("sagemaker-runtime", config=_config(read_timeout=5, attempts=1))
