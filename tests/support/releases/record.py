"""Record this release as the fixture that the next one is upgraded from.

`python -m tests.support.releases.record tests/fixtures/release COMMIT`, in a checkout of the
release. It deploys the release into a local cloud, uses it, and writes:

- `release.tar.xz`: the functions' sources, the stand-in for the container, both templates, and
  files that are not in a bucket: the card of the bundled model, a joined data set's manifest, the
  console's index of answers;
- `state.jsonl`: the bucket at rest, an object a line, oldest version first;
- `open.jsonl`: the objects of runs and timers that were under way;
- `stage.json`: requests that make the models and the endpoint, parameters, and queue messages.
"""

import base64
import io
import json
import os
import sqlite3
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from aws.bucket import Bucket
from batch.planning.slice import PageRef
from console.answers.filling import Filling
from console.answers.index import AnswerIndex
from domain import archive, keys
from domain.corrections import form
from domain.ignored.names import DATASET_MANIFEST
from domain.scope import RECLASSIFICATION, Scope
from domain.version import VERSION
from functions import messages
from infra.local import cloud as local
from infra.local.container_image import ImageCommand
from infra.local.place import REPOSITORY
from infra.models.activate import activate_archive
from infra.shipped import BUNDLE_PACKAGES
from infra.stage import Stage
from tests.flow.conftest import STAND_IN
from tests.flow.conftest import archive as pack_model
from tests.flow.support.drive import Cloud, eventually
from tests.stand_in.live import Knobs, Live
from training.data import join

SOURCES = (*BUNDLE_PACKAGES, "tests/stand_in")
CORRECTION = "20261129T070000.000-8d3f0c5a6b7e9f01"
LONG_NAME = "x" * (keys.KEY_BYTES - len(keys.INBOX) - 4) + ".jpg"

MESSAGES: tuple[messages.OurMessage, ...] = (
    messages.Changed("inbox/a cat.jpg", removed=False, size=3, moved=True),
    messages.LookAgain("inbox/a cat.jpg", 1),
    messages.QuietTimer("trip/", "0123456789"),
    messages.Start("trip/"),
    messages.Advance(Scope("trip/").token),
    messages.Unpack("inbox/packed.zip"),
    messages.NextArchive("inbox/packed.zip"),
    messages.Reclassify("trip/", "renewal", confirmed=True),
    PageRef(Scope("trip/").token, "0123456789", 1, 0, 0, 0),
)


def use(cloud: Cloud, running: local.LocalCloud, models: Path) -> None:
    """Leave at least one object of each kind in the bucket, and come to rest."""
    for key in ("inbox/a cat.jpg", "inbox/gone.jpg", "inbox/ünïcode/🐈.jpg", f"inbox/{LONG_NAME}"):
        cloud.drop(key, key.encode())
    cloud.drop("inbox/no image.jpg", b"BAD")
    for number in range(5):
        cloud.drop(f"inbox/trip/{number}.jpg", b"trip %d" % number)
    cloud.drop("inbox/trip/no image.jpg", b"BAD too")
    cloud.drop("inbox/trip/Thumbs.db", b"a system's")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as members:
        members.writestr("1.jpg", b"packed 1")
        members.writestr("2.jpg", b"packed 2")
    cloud.drop("inbox/packed.zip", packed.getvalue())
    cloud.drop("inbox/trip/_READY")
    for folder in ("trip", "packed", "ünïcode"):
        cloud.ended(folder)
    cloud.answered("inbox/gone.jpg")
    cloud.remove("inbox/gone.jpg")
    cloud.unanswered("inbox/gone.jpg")
    etag = cloud.answered("inbox/a cat.jpg").source.etag
    correction = form.Correction(CORRECTION, "inbox/a cat.jpg", etag, "sha-0", "cat", "anna", None)
    cloud.drop(f"{keys.CORRECTIONS}{CORRECTION}.json", form.to_json(correction).encode())

    activate(running, pack_model(models / "other.tar.gz", "alternative"))
    start = messages.to_json(messages.Reclassify("", "renewal", confirmed=True))
    cloud.sqs.send_message(QueueUrl=cloud.queue("folder"), MessageBody=start)
    eventually(lambda: objects(cloud, keys.SWEEPS) or None, "the report of the reclassification")
    claim = keys.claim_key(RECLASSIFICATION)
    eventually(lambda: cloud.read(claim) is None or None, "the end of the reclassification")
    cloud.at_rest()


def open_runs(cloud: Cloud, live: Live) -> None:
    """Leave a folder with a job that runs, and one whose timer runs."""
    live.turn(Knobs(delay_ms=2_000))
    for number in range(10):
        cloud.drop(f"inbox/open/{number}.jpg", b"open %d" % number)
    cloud.drop("inbox/open/_READY")
    cloud.job("open", "InProgress")
    cloud.drop("inbox/waiting/1.jpg", b"waiting")
    timer = keys.debounce_key(Scope("waiting/").token)
    eventually(lambda: cloud.read(timer), "a folder's timer")


def activate(running: local.LocalCloud, model: Path) -> None:
    os.environ.update(running.environment)
    activate_archive(Stage(running.stage), model, STAND_IN, keep=False)


def objects(cloud: Cloud, prefix: str = "") -> list[dict[str, Any]]:
    """Every object with its metadata; of the pointer to the active model every version."""
    lines = []
    pages = cloud.s3.get_paginator("list_object_versions").paginate(
        Bucket=cloud.bucket, Prefix=prefix
    )
    versions = [item for page in pages for item in page.get("Versions", [])]
    for item in sorted(versions, key=lambda item: item["LastModified"]):
        key = item["Key"]
        if key.startswith("deploy/") or not (item["IsLatest"] or key == keys.ACTIVE_MODEL):
            continue
        stored = cloud.s3.get_object(Bucket=cloud.bucket, Key=key, VersionId=item["VersionId"])
        body = stored["Body"].read()
        line: dict[str, Any] = {"key": key, "metadata": stored["Metadata"]}
        try:
            line["text"] = body.decode()
        except UnicodeDecodeError:
            line["base64"] = base64.b64encode(body).decode()
        lines.append(line)
    return lines


def stage_of(cloud: Cloud, running: local.LocalCloud, commit: str) -> dict[str, Any]:
    history = [json.loads(item["text"]) for item in objects(cloud, keys.ACTIVE_MODEL)]
    names = list(dict.fromkeys(item["sagemaker_model"] for item in history))
    fields = ("ModelName", "PrimaryContainer", "EnableNetworkIsolation")
    models: list[Any] = [cloud.sagemaker.describe_model(ModelName=name) for name in names]
    configs: list[Any] = [
        cloud.sagemaker.describe_endpoint_config(EndpointConfigName=name) for name in names
    ]
    cloudformation = running.client("cloudformation")
    stage = Stage(running.stage)
    stacks = {
        name: cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        for name in (stage.storage_stack, stage.stack)
    }
    return {
        "version": VERSION,
        "commit": commit,
        "stacks": {name: stack.get("Parameters", []) for name, stack in stacks.items()},
        "models": [{name: model[name] for name in fields} for model in models],
        "configs": [
            {name: config[name] for name in ("EndpointConfigName", "ProductionVariants")}
            for config in configs
        ],
        "endpoint": {"EndpointName": stage.endpoint, "EndpointConfigName": names[-1]},
        "messages": [messages.to_json(message) for message in MESSAGES],
    }


def joined_manifest(folder: Path) -> bytes:
    """The manifest of a data set of two classes that a corrected image was joined to."""
    for number, path in enumerate(f"{name}/{n}.png" for name in ("red", "blue") for n in range(5)):
        picture = folder / "photos" / path
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (20 * number, 0, 255 - number)).save(picture)
    reviewed = folder / "review" / "red" / "1.png"
    reviewed.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), (7, 7, 7)).save(reviewed)
    joined = join.join(folder / "photos", folder / "review", lambda: None)
    join.write(joined, folder / "photos-v2", lambda done, of: None)
    return (folder / "photos-v2" / DATASET_MANIFEST).read_bytes()


def console_index(cloud: Cloud, path: Path) -> bytes:
    Filling(Bucket(cloud.s3, cloud.bucket), AnswerIndex(path)).run()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
    return path.read_bytes()


def write_release(target: Path, running: local.LocalCloud, others: dict[str, bytes]) -> None:
    cloudformation, stage = running.client("cloudformation"), Stage(running.stage)
    with tarfile.open(target, "w:xz", preset=9) as packed:
        for source in sorted(sources()):
            add(packed, source.relative_to(REPOSITORY).as_posix(), source.read_bytes())
        for name, stack in (("storage", stage.storage_stack), ("functions", stage.stack)):
            body = cloudformation.get_template(StackName=stack)["TemplateBody"]
            text = body if isinstance(body, str) else json.dumps(body)
            add(packed, f"templates/{name}", text.encode())
        model = REPOSITORY / "build" / "imagenet.tar.gz"
        with model.open("rb") as content:
            card = archive.read_model(content, model.stat().st_size, lambda name, content: None)
        add(packed, "files/card.json", card.to_json().encode())
        for name, other in others.items():
            add(packed, f"files/{name}", other)


def sources() -> Iterator[Path]:
    for package in SOURCES:
        for path in (REPOSITORY / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
    yield REPOSITORY / "tests" / "__init__.py"


def add(packed: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    packed.addfile(member, io.BytesIO(content))


def write_lines(target: Path, lines: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    target.write_text(text)


def main(target: Path, commit: str) -> None:
    with TemporaryDirectory() as root:
        models, live = Path(root, "models"), Live(Path(root, "live"))
        models.mkdir()
        live.folder.mkdir()
        stand_in = ImageCommand(
            argv=[sys.executable, "-m", "tests.stand_in"],
            cwd=str(REPOSITORY),
            env={"STAND_IN_LIVE": str(live.folder)},
        )
        with local.local_cloud(Path(root, "cloud"), {STAND_IN: stand_in}) as running:
            activate(running, pack_model(models / "stand-in.tar.gz", "stand-in"))
            s3, sqs, sagemaker = map(running.client, ("s3", "sqs", "sagemaker"))
            cloud = Cloud(s3, sqs, sagemaker, running.bucket, running.stage)
            use(cloud, running, models)
            at_rest = objects(cloud)
            write_lines(target / "state.jsonl", at_rest)
            stage = stage_of(cloud, running, commit)
            (target / "stage.json").write_text(json.dumps(stage, indent=1, default=str) + "\n")
            others = {
                "manifest.json": joined_manifest(Path(root, "data")),
                "answers.db": console_index(cloud, Path(root, "answers.db")),
            }
            write_release(target / "release.tar.xz", running, others)
            open_runs(cloud, live)
            write_lines(
                target / "open.jsonl", [line for line in objects(cloud) if line not in at_rest]
            )
            live.turn(Knobs())


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
