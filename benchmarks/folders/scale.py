"""How a reclassification of ten million images is planned: memory, calls, and their price.

`python -m benchmarks.folders.scale [--images 10000000]`

The bucket is simulated: pages of listings are made when they are asked for, and what is written is
counted and forgotten. The planning is the product's own, slice after slice, as `advance` plans it.
"""

import argparse
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from aws.bucket import Bucket
from batch.claim import Run
from batch.context import Context, Limits, TransformResources
from batch.planning.plan import plan
from domain.model import ActiveModel, ModelId
from domain.result import MODEL_ID, SOURCE_ETAG
from infra.diagnostics.cost import load_prices

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAGE = 1000
ETAG = "0123456789abcdef0123456789abcdef"
OLD, NEW = (ModelId("pets", version, f"sha256:{version:064x}") for version in (1, 2))


@dataclass
class SimulatedListing:
    """An inbox of `images` in folders of ten thousand, all answered by the model before."""

    images: int
    calls: Counter[str] = field(default_factory=Counter)

    def list_objects_v2(self, *, Prefix: str, **parameters: Any) -> dict[str, Any]:
        self.calls["LIST"] += 1
        after = parameters.get("ContinuationToken") or parameters.get("StartAfter") or ""
        first = _number(after) + 1 if after else 0
        suffix, at = (".json", NOON + timedelta(hours=1)) if Prefix[0] == "o" else ("", NOON)
        numbers = range(first, min(first + PAGE, self.images))
        contents = [
            {
                "Key": f"{Prefix}{number // 10_000:06}/{number % 10_000:04}.jpg{suffix}",
                "ETag": ETAG,
                "Size": 100_000,
                "LastModified": at,
            }
            for number in numbers
        ]
        more = {"NextContinuationToken": contents[-1]["Key"]} if numbers.stop < self.images else {}
        return {"Contents": contents, "IsTruncated": bool(more)} | more

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.calls["HEAD"] += 1
        about = {SOURCE_ETAG: ETAG, MODEL_ID: str(OLD)}
        return {"ETag": ETAG, "ContentLength": 900, "LastModified": NOON, "Metadata": about}

    def put_object(self, *, Body: bytes | str, **_: Any) -> dict[str, Any]:
        self.calls["PUT"] += 1
        self.calls["bytes written"] += len(Body)
        return {"ETag": ETAG}


def _number(key: str) -> int:
    folder, name = key.split("/")[1:3]
    return int(folder) * 10_000 + int(name[:4])


def _none(*_: Any) -> Any:
    raise AssertionError("planning asks for nothing of the kind")


def cloud(simulated: SimulatedListing) -> Context:
    unused = cast("Any", None)
    return Context(
        bucket=Bucket(cast("Any", simulated), "bucket"),
        sagemaker=unused,
        stage="bench",
        resources=TransformResources("ml.m5.xlarge", 1),
        folder_depth=1,
        endpoint_max_late=0,
        endpoint_max_first=0,
        active_model=lambda: ActiveModel(NEW, "sortbox-bench", "sortbox-bench-2", ""),
        send_page=_none,
        look_later=_none,
        now=lambda: NOON + timedelta(days=1),
        new_nonce=lambda: "0123456789",
        advance_later=_none,
        unpack_later=_none,
        notify=_none,
        thumbnail=_none,
        jobs_at_once=1,
        reclassify_jobs=1,
        confirm_above=0,
        review_below=0.5,
        limits=Limits(heads_at_once=4),
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.folders.scale")
    parser.add_argument("--images", type=int, default=10_000_000)
    images = parser.parse_args(arguments).images
    simulated = SimulatedListing(images)
    planner = cloud(simulated)
    run = Run("", "0123456789", NOON.isoformat(), first=False, kind="renewal", confirmed=True)
    began = time.monotonic()
    planned = plan(planner, run, 1, None)
    while not planned.last:
        planned = plan(planner, run, 1, planned)
    seconds = time.monotonic() - began
    assert planned.rows == images, f"{planned.rows} planned of {images}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    calls = simulated.calls
    prices = load_prices()
    cost = (
        (calls["LIST"] + calls["PUT"]) * prices.s3_put_or_list_per_1000
        + calls["HEAD"] * prices.s3_get_or_head_per_1000
    ) / 1000
    print(f"{images:,} images in {planned.index + 1:,} slices, {seconds:.0f} s, peak {peak:.0f} MB")
    print(f"calls: {dict(calls)}")
    print(f"planning a million costs {cost / images * 1e6:.2f} {prices.currency} ({prices.source})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
