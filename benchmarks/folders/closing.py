"""How the end of a run of ten million images is written: turns, memory, disk, calls.

`python -m benchmarks.folders.closing [--images 10000000] [--again]`

The bucket is simulated: listings, slices and what the pages left are made when they are asked for,
and the table's parts are looked through and forgotten, or kept in a file for `--again`, a second
run that has that table to begin from. The report is the product's own, turn after turn, each of
them with nothing but the place that the one before it left. A turn is `Limits.report_seconds` of
processor time, the simulation's included; what S3 would take for the calls is printed beside it.
"""

import argparse
import io
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from botocore.exceptions import ClientError

from aws.bucket import Bucket
from batch.claim import Run
from batch.context import Context, Limits
from batch.planning.slice import SMALL_IMAGES, Part, Slice
from batch.reports import folder_report
from batch.reports.folder_report import Unfinished
from benchmarks.folders import scale
from domain.keys import claim_key

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FOLDER = "trip/"
PAGE_ROWS, SLICE_ROWS, LISTED = 500, 50_000, 1_000
ETAG = "0123456789abcdef0123456789abcdef"
MODEL = f"pets:1:sha256:{1:064x}"
SECONDS = {"LIST": 0.15, "GET": 0.03, "HEAD": 0.02, "PUT": 0.1, "COPY": 0.3}
"""What a call takes on AWS, on the high side; pages are read sixteen at a time."""


def key(number: int) -> str:
    return f"inbox/{FOLDER}holiday {number // 10_000:05}/IMG_{number % 10_000:05}.jpg"


def number_of(text: str) -> int:
    return int(text.split()[1][:5]) * 10_000 + int(text[-9:-4])


def line(number: int) -> str:
    """As a page leaves it (`batch.outcome.to_line`), and made in a tenth of the time."""
    scores = (0.5 + number % 5_000 / 10_000, 0.2, 0.1)
    labels = ", ".join(
        f'{{"label": "label {(number + n) % 1_000:03}", "score": {item}}}'
        for n, item in enumerate(scores)
    )
    return (
        f'{{"image": "{key(number)}", "etag": "{ETAG}", "labels": [{labels}], '
        f'"model": "{MODEL}", "at": "2026-01-01T12:00:00Z"}}\n'
    )


@dataclass
class SimulatedRun:
    """A folder of `images`, planned and answered; the second run's pages have answered nothing."""

    images: int
    run: Run
    calls: Counter[str] = field(default_factory=Counter)
    small: dict[str, bytes] = field(default_factory=dict)
    rows: int = 0
    table: Any = None
    known: int = 0

    def list_objects_v2(self, *, Prefix: str, **parameters: Any) -> dict[str, Any]:
        self.calls["LIST"] += 1
        if not Prefix.startswith("inbox/"):
            keys = [item for item in self._slices() if item.startswith(Prefix)]
            return {"Contents": [_listed(item, 1) for item in keys], "IsTruncated": False}
        after = parameters.get("ContinuationToken") or parameters.get("StartAfter") or ""
        first = number_of(after) + 1 if after else 0
        numbers = range(first, min(first + LISTED, self.images))
        contents = [_listed(key(number), 100_000) for number in numbers]
        more = {"NextContinuationToken": key(numbers[-1])} if numbers.stop < self.images else {}
        return {"Contents": contents, "IsTruncated": bool(more)} | more

    def _slices(self) -> list[str]:
        count = 0 if self.known else -(-self.images // SLICE_ROWS)
        return [self.run.keys.slice(1, index) for index in range(count)]

    def get_object(self, *, Bucket: str, Key: str, Range: str = "", **_: Any) -> dict[str, Any]:
        self.calls["GET"] += 1
        if Range:
            first, last = map(int, Range.removeprefix("bytes=").split("-"))
            self.table.seek(first)
            return {"Body": io.BytesIO(self.table.read(last - first + 1)), "ETag": ETAG}
        body = self.small.get(Key) or self._made(Key)
        return {"Body": io.BytesIO(body), "ETag": ETAG}

    def _made(self, name: str) -> bytes:
        if "/slices/1/" in name and name in self._slices():
            return self._slice(int(name[-11:-5])).to_json().encode()
        if "/progress/1-" in name:
            index, page = int(name.split("/1-")[1][:6]), int(name[-10:-6])
            first = index * SLICE_ROWS + page * PAGE_ROWS
            numbers = range(first, min(first + PAGE_ROWS, self.images))
            return "".join(map(line, numbers)).encode()
        raise _absent()

    def _slice(self, index: int) -> Slice:
        first, end = index * SLICE_ROWS, min((index + 1) * SLICE_ROWS, self.images)
        part = Part(SMALL_IMAGES, end - first, -(-(end - first) // PAGE_ROWS))
        after = key(first - 1) if first else ""
        last = end == self.images
        return Slice(FOLDER, 1, index, "p", after, key(end - 1), last, 0, end, (part,))

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.calls["HEAD"] += 1
        if not (self.known and Key.endswith("predictions.csv")):
            raise _absent()
        return {"ETag": ETAG, "ContentLength": self.known, "LastModified": NOON, "Metadata": {}}

    def put_object(self, *, Key: str, Body: bytes | str, **_: Any) -> dict[str, Any]:
        self.calls["PUT"] += 1
        text = Body if isinstance(Body, str) else Body.decode()
        if "/report/table-" in Key or Key.endswith("predictions.csv"):
            self._take(text)
        return {"ETag": ETAG}

    def _take(self, text: str) -> None:
        self.rows += text.count("\n")
        self.calls["bytes of the table"] += len(text)
        if self.table and not self.known:
            self.table.write(text.encode())

    def create_multipart_upload(self, **_: Any) -> dict[str, Any]:
        return {"UploadId": "u"}

    def upload_part_copy(self, **_: Any) -> dict[str, Any]:
        self.calls["COPY"] += 1
        return {"CopyPartResult": {"ETag": ETAG}}

    def upload_part(self, *, Body: bytes, **_: Any) -> dict[str, Any]:
        self._take(Body.decode())
        return {"ETag": ETAG}

    def complete_multipart_upload(self, **_: Any) -> None:
        self.calls["completed"] += 1


def _absent() -> ClientError:
    metadata: Any = {"HTTPStatusCode": 404}
    return ClientError({"Error": {"Code": "404"}, "ResponseMetadata": metadata}, "GetObject")


def _listed(name: str, size: int) -> dict[str, Any]:
    return {"Key": name, "ETag": ETAG, "Size": size, "LastModified": NOON}


def write(simulated: SimulatedRun, cloud: Context) -> list[float]:
    """The seconds of each turn."""
    turns, place = [], None
    while True:
        began = time.process_time()
        until = cloud.now() + timedelta(seconds=cloud.limits.report_seconds)
        outcome = folder_report.write(cloud, simulated.run, place, until)
        if isinstance(outcome, Unfinished):
            text = json.dumps(outcome.place)
            simulated.calls["bytes of the largest place"] = max(
                len(text), simulated.calls["bytes of the largest place"]
            )
            place = json.loads(text)
        turns.append(time.process_time() - began)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"turn {len(turns)}: {turns[-1]:.0f} s, peak {peak:.0f} MB", flush=True)
        if not isinstance(outcome, Unfinished):
            assert outcome.images == outcome.classified == simulated.images, asdict(outcome)
            assert simulated.rows == simulated.images + 1, f"{simulated.rows} lines"
            return turns


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.folders.closing")
    parser.add_argument("--images", type=int, default=10_000_000)
    parser.add_argument("--again", action="store_true", help="a second run, with a table to read")
    options = parser.parse_args(arguments)
    run = Run(FOLDER, "0123456789", NOON.isoformat(), first=True)
    simulated = SimulatedRun(options.images, run)
    simulated.small[claim_key(run.scope.token)] = run.to_json().encode()
    cloud = replace(
        scale.cloud(cast("Any", simulated)),
        bucket=Bucket(cast("Any", simulated), "bucket"),
        now=lambda: NOON + timedelta(seconds=time.process_time()),
        limits=Limits(),
        thumbnail=lambda image: None,
    )
    with tempfile.TemporaryFile() as kept:
        simulated.table = kept if options.again else None
        _tell("from the pages", simulated, write(simulated, cloud))
        if options.again:
            simulated.known, simulated.rows = kept.tell(), 0
            simulated.calls.clear()
            _tell("from the table before", simulated, write(simulated, cloud))
    return 0


def _tell(what: str, simulated: SimulatedRun, turns: list[float]) -> None:
    calls = simulated.calls
    waits = {name: calls[name] * item for name, item in SECONDS.items()}
    waits["GET"] /= Limits().heads_at_once
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{simulated.images:,} images {what}: {len(turns)} turns, {sum(turns):.0f} s of a core")
    print(f"peak {peak:.0f} MB; calls {dict(calls)}: about {sum(waits.values()):.0f} s on AWS")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
