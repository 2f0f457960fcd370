"""python -m infra.local.sagemaker --port N --state DIR --images FILE"""

import argparse
import logging
import os
from pathlib import Path

import uvicorn

from infra.local.sagemaker.app import application
from infra.local.sagemaker.service import Settings


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    settings = Settings(
        state=arguments.state.resolve(),
        images=arguments.images.resolve(),
        region=os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
        max_transform_jobs=arguments.max_transform_jobs,
        ready_seconds=arguments.ready_seconds,
        invocation_seconds=arguments.invocation_seconds,
    )
    uvicorn.run(
        application(settings),
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sortbox-sagemaker", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="records, models and logs")
    parser.add_argument("--images", type=Path, required=True, help="JSON: image URI to command")
    parser.add_argument("--max-transform-jobs", type=int, default=4, help="at the same time")
    parser.add_argument("--ready-seconds", type=float, default=120, help="until /ping answers 200")
    parser.add_argument("--invocation-seconds", type=float, default=60, help="for one answer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
