"""Steps that classify images as users do: singles, a folder, odd names, and all of them again."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aws.bucket import Bucket
from batch import claim
from domain import keys, result
from domain.keys import INBOX
from domain.result import Classified, Rejected, Result, Version
from domain.route import READY
from domain.scope import RECLASSIFICATION, Scope
from infra import photos, reclassify
from infra.diagnostics.cost import Assumptions, load_prices
from infra.reclassify import Reclassifier
from infra.verify.step import KEY_PREFIX, Site, Step, StepFailed, Usage

SINGLE = "coffee.png"
FOLDER = f"{KEY_PREFIX}-folder"
ODD_FOLDER = f"{KEY_PREFIX}-odd"
NOTE = b"Sunny, 21 degrees. Saw a cat."

LONG_NAME_BYTES = keys.KEY_BYTES - len(f"{INBOX}{KEY_PREFIX}-.png")
ODD_SINGLES = (
    *("two words.png", "100% sure.png", "100%25.png", "a+b c.png", "ü 猫 😀.png", "a..b.png"),
    *("(1), 'x' & y=z;@:$!~*.png", "trailing dot..png", f"{'n' * LONG_NAME_BYTES}.png"),
)
ODD_IN_FOLDER = ("x y+z%20.png", "deep//er.png", "../up.png", "ü/猫/😀.png", f"{'é' * 400}.png")

SINGLE_MINUTES = 5.0
FOLDER_MINUTES = 15.0
RECLASSIFY_MINUTES = 15.0


@dataclass(frozen=True, slots=True)
class InboxFile:
    key: str
    body: bytes
    labels: frozenset[str] = frozenset()
    """The labels that a person would accept; empty: any label."""


def steps() -> list[Step]:
    return [
        Step(
            name="single",
            requested=f"one image of a cup of coffee, {INBOX}{KEY_PREFIX}-{SINGLE}",
            expected="classified as espresso, by the endpoint",
            usage=Usage(minutes=0.5, most_minutes=SINGLE_MINUTES, machines=1),
            act=single,
            needs=("model",),
        ),
        Step(
            name="folder",
            requested="8 photographs and a file that is no image, in one folder with _READY",
            expected="one Batch Transform job; known subjects classified, the file rejected, "
            "and the folder's reports",
            usage=Usage(minutes=6, most_minutes=FOLDER_MINUTES, machines=2),
            act=folder,
            needs=("model",),
        ),
        Step(
            name="odd keys",
            requested=f"{len(ODD_SINGLES)} singles and a folder of {len(ODD_IN_FOLDER)} with "
            "spaces, %, +, ü, 猫, an emoji, .., // and the longest names that S3 takes",
            expected="an answer to each, under the image's own name",
            usage=Usage(minutes=6, most_minutes=FOLDER_MINUTES, machines=2),
            act=odd_keys,
            needs=("model",),
        ),
    ]


def reclassification() -> Step:
    return Step(
        name="reclassify",
        requested="reclassify: every answer that the active model did not give",
        expected="every image answered by the active model",
        usage=Usage(minutes=2, most_minutes=RECLASSIFY_MINUTES, machines=1),
        act=everything_again,
        needs=("folder", "promote"),
    )


def single(site: Site) -> str:
    photo = next(photo for photo in photos.singles() if photo.name == SINGLE)
    upload = InboxFile(f"{INBOX}{KEY_PREFIX}-{photo.name}", photo.body, photo.expected)
    [answer] = answers(site, [upload], SINGLE_MINUTES)
    if answer.how.route != "endpoint":
        raise StepFailed(f"the answer came by {answer.how.route}, not by the endpoint.")
    return _shown(answer)


def folder(site: Site) -> str:
    below = f"{INBOX}{FOLDER}/"
    uploads = [
        InboxFile(below + photo.name, photo.body, photo.expected) for photo in photos.singles()
    ]
    note = InboxFile(f"{below}day 2/notes.jpg", NOTE)
    answered = answers(site, [*uploads, note], FOLDER_MINUTES, folder=FOLDER)
    rejections = [answer for answer in answered if isinstance(answer, Rejected)]
    if [answer.image for answer in rejections] != [note.key]:
        raise StepFailed(f"rejected were {[answer.image for answer in rejections]}.")
    jobs = {answer.how.job for answer in answered}
    if len(jobs) != 1 or None in jobs:
        raise StepFailed(f"{len(answered)} images were answered by {len(jobs)} jobs, not by one.")
    bucket = site.bucket
    for name in ("_summary.json", "_report.html", "predictions.csv", "errors.jsonl"):
        if bucket.head(keys.folder_file(Scope(f"{FOLDER}/"), name)) is None:
            raise StepFailed(f"the folder has no {name}.")
    return f"{len(answered)} answers by one job, {len(rejections)} of them a rejection"


def odd_keys(site: Site) -> str:
    body = next(photo.body for photo in photos.singles() if photo.name == SINGLE)
    singles = [InboxFile(f"{INBOX}{KEY_PREFIX}-{name}", body) for name in ODD_SINGLES]
    inside = [InboxFile(f"{INBOX}{ODD_FOLDER}/{name}", body) for name in ODD_IN_FOLDER]
    answered = answers(site, [*singles, *inside], FOLDER_MINUTES, folder=ODD_FOLDER)
    wrong = [answer.image for answer in answered if isinstance(answer, Rejected)]
    if wrong:
        raise StepFailed(f"rejected were {wrong}.")
    routes = Counter(answer.how.route for answer in answered)
    return ", ".join(f"{count} by {route}" for route, count in sorted(routes.items()))


def everything_again(site: Site) -> str:
    """Reclassify all images. Only the run's own images are affected, because the stage is
    its own.
    """
    desk = Reclassifier.of(site.stage)
    scope, prices = reclassify.scope_of(INBOX), load_prices()
    assumptions = Assumptions(instance=desk.context.resources.type)
    plan = desk.plan(scope, prices, assumptions)
    if plan.stale == 0:
        raise StepFailed(f"nothing is stale, though {plan.model} has answered little so far.")
    desk.start(scope)

    def is_done() -> bool | None:
        is_over = claim.read(desk.context.bucket, RECLASSIFICATION) is None
        return True if is_over and desk.plan(scope, prices, assumptions).stale == 0 else None

    site.wait(is_done, "the reclassification", RECLASSIFY_MINUTES)
    return f"{plan.stale} of {plan.images} images renewed, by {plan.model}"


def answers(
    site: Site, uploads: list[InboxFile], minutes: float, folder: str | None = None
) -> list[Result]:
    """Upload files and wait for the result of each current version; with `folder`, for the folder's
    end.

    Raises StepFailed if a label is not acceptable.
    """
    bucket = site.bucket
    versions = {upload.key: _put(bucket, upload) for upload in uploads}
    if folder:
        bucket.client.put_object(Bucket=bucket.name, Key=f"{INBOX}{folder}/{READY}")
    answered: dict[str, Result] = {}

    def look() -> bool | None:
        for key, version in versions.items():
            if key not in answered and (answer := _read(bucket, key, version)):
                answered[key] = answer
        status = _status(bucket, folder) if folder else {"state": "finished"}
        if status.get("state") in ("failed", "given up"):
            raise StepFailed(f"the folder's run {status['state']}: {status['reason']}")
        is_over = status.get("state") == "finished"
        return True if len(answered) == len(versions) and is_over else None

    site.wait(look, f"answers to {len(uploads)} images", minutes)
    for upload in uploads:
        _check(answered[upload.key], upload)
    return [answered[upload.key] for upload in uploads]


def _put(bucket: Bucket, upload: InboxFile) -> Version:
    answer = bucket.client.put_object(Bucket=bucket.name, Key=upload.key, Body=upload.body)
    return Version(answer["ETag"].strip('"'), answer.get("VersionId"))


def _read(bucket: Bucket, key: str, version: Version) -> Result | None:
    """The result of this upload. A result of an earlier upload of the same bytes has another
    version.
    """
    stored = bucket.read(keys.result_key(key))
    answer = result.from_json(stored.body) if stored else None
    return answer if answer and answer.source.version.is_same(version) else None


def _status(bucket: Bucket, folder: str) -> dict[str, Any]:
    stored = bucket.read(keys.folder_file(Scope(f"{folder}/"), "_status.json"))
    status: dict[str, Any] = json.loads(stored.body) if stored else {}
    return status


def _check(answer: Result, upload: InboxFile) -> None:
    if answer.image != upload.key:
        raise StepFailed(f"the answer to {upload.key!r} is about {answer.image!r}.")
    if not upload.labels:
        return
    if not isinstance(answer, Classified) or answer.labels[0].label not in upload.labels:
        raise StepFailed(f"{upload.key} was {_shown(answer)}, not {' or '.join(upload.labels)}.")


def _shown(answer: Result) -> str:
    match answer:
        case Classified(labels=(best, *_)):
            return f"classified as {best.label} ({best.score:.2f}) by {answer.how.route}"
        case Rejected():
            return f"rejected as {answer.code}: {answer.message}"
    return "classified without a label"
