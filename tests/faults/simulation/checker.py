"""Is every image answered, once, as it is now, by the right model, with its own label?

Knows the product's published words only: the keys people use and the schema of a result. It reads
listings and objects, computes each label again from the image's bytes, and trusts no metadata but
where that is itself promised. Nothing of the product is imported.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

THREADS = 4
S3_KEY_BYTES = 1024
OURS = ("_READY", "_status", "_summary", "_status.json", "_summary.json", "_report.html")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
SYSTEM = ("thumbs.db", "desktop.ini", "_success")
MODEL_ID = ("name", "version", "digest")
FOLDER_FILES = ("_status.json", "_summary.json", "predictions.csv", "errors.jsonl", "_report.html")


@dataclass(frozen=True)
class Expect:
    """`label(body)` is what a container says, None where it refuses.

    `models(key)`, each `name:version`, may have answered; an empty text: rejected without a model.
    """

    label: Callable[[bytes], str | None]
    models: Callable[[str], frozenset[str]]


@dataclass
class Verdict:
    """Keys, each under what is wrong with it; `images` were looked at and `answers` were read."""

    images: int = 0
    answers: int = 0
    rejected: int = 0
    lost: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    mislabelled: list[str] = field(default_factory=list)
    unjust: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    misreported: list[str] = field(default_factory=list)

    def trouble(self) -> dict[str, list[str]]:
        kinds = ("lost", "stale", "mislabelled", "unjust", "orphans", "misreported")
        return {kind: getattr(self, kind) for kind in kinds if getattr(self, kind)}


@dataclass(frozen=True)
class Reading:
    """An image and what the outbox says of it."""

    key: str
    etag: str
    version: str | None
    label: str | None
    answer: dict[str, Any] | None


def check(s3: Any, bucket: str, expect: Expect, threads: int = THREADS) -> Verdict:
    verdict = Verdict()
    keys = [key for key in listing(s3, bucket, "inbox/") if is_image(key)]
    with ThreadPoolExecutor(threads) as pool:
        for reading in pool.map(lambda key: read(s3, bucket, expect, key), keys):
            judge(verdict, reading, expect.models(reading.key))
    answered = {answer_key(key) for key in keys}
    for key in listing(s3, bucket, "outbox/"):
        if key not in answered and not is_about_folders(key):
            verdict.orphans.append(key)
    return verdict


def read(s3: Any, bucket: str, expect: Expect, key: str) -> Reading:
    found = s3.get_object(Bucket=bucket, Key=key)
    label = expect.label(found["Body"].read())
    etag, version = found["ETag"].strip('"'), found.get("VersionId")
    try:
        stored = s3.get_object(Bucket=bucket, Key=answer_key(key))
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        return Reading(key, etag, version, label, None)
    return Reading(key, etag, version, label, json.loads(stored["Body"].read()))


def judge(verdict: Verdict, reading: Reading, models: frozenset[str]) -> None:
    verdict.images += 1
    answer, key = reading.answer, reading.key
    if answer is None:
        verdict.lost.append(key)
        return
    verdict.answers += 1
    source = (answer["source"]["etag"], answer["source"]["version_id"])
    is_its = answer["image"] == key and source == (reading.etag, reading.version)
    if not is_its or model_of(answer) not in models:
        verdict.stale.append(key)
    if answer["status"] == "rejected":
        verdict.rejected += 1
        if reading.label is not None:
            verdict.unjust.append(key)
    elif answer["labels"][0]["label"] != reading.label:
        verdict.mislabelled.append(key)


def is_about_folders(key: str) -> bool:
    """No image has an answer below `outbox/_…/`, but for those whose keys are too long."""
    is_hidden = key.startswith("outbox/_") and not key.startswith("outbox/_long/")
    return is_hidden or key.endswith(FOLDER_FILES)


def model_of(answer: dict[str, Any]) -> str:
    model = answer["model"]
    return f"{model['name']}:{model['version']}" if model else ""


def check_report(s3: Any, bucket: str, folder: str, verdict: Verdict) -> None:
    """The folder's table, errors and summary against the answers that stand."""
    keys = [key for key in listing(s3, bucket, f"inbox/{folder}/") if is_image(key)]
    answers = {
        key: json.loads(s3.get_object(Bucket=bucket, Key=answer_key(key))["Body"].read())
        for key in keys
        if key not in verdict.lost
    }
    table = text_of(s3, bucket, f"outbox/{folder}/predictions.csv").removeprefix("\ufeff")
    rows = {row["image"]: row for row in csv.DictReader(io.StringIO(table, newline=""))}
    lines = text_of(s3, bucket, f"outbox/{folder}/errors.jsonl").split("\n")
    errors = [json.loads(line) for line in lines if line]
    summary = json.loads(text_of(s3, bucket, f"outbox/{folder}/_summary.json"))
    reported = {
        key: ("classified", row["etag"], row["model"], row["label"]) for key, row in rows.items()
    }
    reported |= {
        line["image"]: ("rejected", line["etag"], line["model"], line["code"]) for line in errors
    }
    for key, answer in answers.items():
        first = answer["labels"][0]["label"] if answer["status"] == "classified" else answer["code"]
        model = answer["model"] and ":".join(str(answer["model"][each]) for each in MODEL_ID)
        if reported.pop(key, None) != (answer["status"], answer["source"]["etag"], model, first):
            verdict.misreported.append(key)
    verdict.misreported += reported
    if (summary["classified"], summary["rejected"]) != (len(rows), len(errors)):
        verdict.misreported.append(f"outbox/{folder}/_summary.json")


def text_of(s3: Any, bucket: str, key: str) -> str:
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body.decode()


def listing(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    more: Mapping[str, str] = {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        yield from (found["Key"] for found in page.get("Contents", []))
        if not page["IsTruncated"]:
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def answer_key(image: str) -> str:
    """As README.md promises it to people; long ones as docs/reference/bucket.md does."""
    key = f"outbox/{image[len('inbox/') :]}.json"
    if len(key.encode()) <= S3_KEY_BYTES:
        return key
    return f"outbox/_long/{hashlib.sha256(image.encode()).hexdigest()}.json"


def is_image(key: str) -> bool:
    *folders, name = key.split("/")[1:]
    hidden = [part for part in (*folders, name) if part[:1] == "." and part.strip(".")]
    if name.lower().endswith(ARCHIVES):
        return False
    return name not in ("", *OURS) and not hidden and name.lower() not in SYSTEM
