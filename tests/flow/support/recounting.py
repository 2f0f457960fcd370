"""A sweep's report, counted again by somebody who has not read it."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from domain import keys
from domain.model import ModelId
from domain.result import Result, from_json
from tests.flow.support.drive import Cloud, label_of


def recount(cloud: Cloud, old: ModelId, images: dict[str, bytes]) -> None:
    """The change report, against every version that a result has ever had.

    An answer that remembers the old model's is one that the sweep gave: all other new answers here
    are for new images.
    """
    flips: Counter[tuple[str, str]] = Counter()
    renewed = set()
    for key, body in images.items():
        for stored in versions(cloud, keys.result_key(key)):
            if stored.previous is not None and stored.previous.model == old:
                renewed.add(key)
                before = label_of(body) if not body.startswith(b"BAD") else "not_an_image"
                said = stored.previous.answer
                assert (said if isinstance(said, str) else said.label) == before
    for key in renewed:
        body = images[key]
        if not body.startswith(b"BAD"):
            flips[label_of(body), label_of(body, "alternative")] += 1
    told = report(cloud)
    assert told["renewed"] == len(renewed)
    assert told["flipped"] == sum(n for (a, b), n in flips.items() if a != b)
    counted = {(each["from"], each["to"]): each["images"] for each in told["matrix"]}
    assert counted == flips + Counter({("not_an_image", "not_an_image"): 3})
    page = cloud.read(report_key(cloud, "_report.html"))
    assert page is not None
    assert b"data:image/jpeg;base64," in page, "the surest flips have their pictures"


def versions(cloud: Cloud, key: str) -> Iterator[Result]:
    found = cloud.s3.list_object_versions(Bucket=cloud.bucket, Prefix=key)
    for each in found.get("Versions", []):
        stored = cloud.s3.get_object(
            Bucket=cloud.bucket, Key=each["Key"], VersionId=each["VersionId"]
        )
        yield from_json(stored["Body"].read())


def report_key(cloud: Cloud, name: str) -> str:
    """Of the last sweep."""
    found = cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=keys.SWEEPS)["Contents"]
    return max(each["Key"] for each in found if each["Key"].endswith(name))


def report(cloud: Cloud) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(cloud.read(report_key(cloud, "_summary.json")) or b"")
    return told
