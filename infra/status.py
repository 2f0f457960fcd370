"""Why is nothing there? Where an image or a folder is now, and what it waits for.

`python -m infra.status --stage dev [--json] inbox/cat.jpg`, or `inbox/trip/`, or nothing for all
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from batch.bucket import Bucket
from domain.keys import INBOX, claim_key
from domain.route import Ignored, InFolder, Ready, Single, route
from domain.scope import Scope
from infra import findings
from infra.findings import Finding, Lookout
from infra.stage import Stage, StageError
from infra.sweeps import of_sweeps


def explain(look: Lookout, key: str) -> Iterator[Finding]:
    """From the thing itself outwards; ends where the answer is found."""
    match route(f"{key}x" if key.endswith("/") else key):
        case Ignored(reason):
            yield Finding("road", f"{key} is ignored: {reason}.", {"road": "ignored"})
        case InFolder(_, folder) if key.endswith("/"):
            yield findings.of_folder(look, folder)
            yield from _waits(look, folder)
        case InFolder(_, folder):
            yield from _image(look, key, folder)
        case Ready(folder):
            sentence = f"{key} starts the folder {INBOX}{folder.path}."
            yield Finding("road", sentence, {"road": "marker"})
            yield from _waits(look, folder)
        case Single():
            yield from _image(look, key, None)


def everything(look: Lookout) -> Iterator[Finding]:
    yield findings.of_model(findings.active_model(look))
    yield findings.of_endpoint(look)
    yield from of_sweeps(look.bucket)
    yield from findings.of_open_runs(look)
    yield from findings.of_jobs(look)
    yield from findings.of_queues(look)


def _image(look: Lookout, key: str, folder: Scope | None) -> Iterator[Finding]:
    image, active = look.bucket.head(key), findings.active_model(look)
    yield findings.of_image(key, image)
    answer = findings.of_answer(look, key, image, active)
    if image is not None or answer.facts["exists"]:
        yield answer
    if answer.facts["current"] or not (image or answer.facts["exists"]):
        return
    if folder is None:
        yield Finding("road", "It is a single: the endpoint answers it.", {"road": "single"})
        yield from _waits(look, Scope(key.removeprefix(INBOX)))
    else:
        sentence = f"It is answered with its folder, {INBOX}{folder.path}."
        yield Finding("road", sentence, {"road": "folder", "folder": INBOX + folder.path})
        yield from _waits(look, folder)


def _waits(look: Lookout, scope: Scope) -> Iterator[Finding]:
    yield findings.of_model(findings.active_model(look))
    yield findings.of_endpoint(look)
    yield from findings.of_jobs(look)
    if scope.is_folder or look.bucket.head(claim_key(scope.token)):
        yield from findings.of_run(look, scope)
    yield from findings.of_queues(look)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.status")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--json", action="store_true", help="one JSON document a finding")
    parser.add_argument("key", nargs="?", default="")
    given = parser.parse_args(arguments)
    try:
        stage = Stage(given.stage)
        bucket = Bucket(boto3.client("s3"), stage.bucket)
        look = Lookout(stage, bucket, boto3.client("sqs"), boto3.client("sagemaker"))
        whole = given.key in ("", INBOX)
        for finding in everything(look) if whole else explain(look, given.key):
            print(_line(finding) if given.json else finding.sentence, flush=True)
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (StageError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _line(finding: Finding) -> str:
    document = {"about": finding.about, "sentence": finding.sentence} | dict(finding.facts)
    return json.dumps(document, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
