"""Corrections in S3, and the cache that answers from them."""

import json
import os
import threading
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.bucket import Bucket
from domain.corrections.coverage import MOST_HELD, Coverage, Held, merge, parse_coverage
from domain.corrections.form import Correction, to_json
from domain.corrections.settling import settle
from domain.ignored.names import CORRECTIONS_RECORD, MANIFEST_BYTES
from domain.keys import CORRECTIONS
from infra.review.fetch import FetchCounts, fetch_stored
from infra.review.lists import ReviewError, ReviewFilter
from infra.review.stored import FILE, CorrectionFilter, CorrectionStore, LabelCount, Totals
from tests.support.builders import vocabulary as some
from tests.support.fakes.aws import FakeS3

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def a_bucket() -> Bucket:
    s3: Any = FakeS3()
    return Bucket(s3, "bucket")


def correction(
    second: float,
    image: str = "inbox/a.jpg",
    to: str | None = "dress",
    who: str = "ann",
    before: str | None = "skirt",
    etag: str = "e1",
    withdraws: str | None = None,
) -> Correction:
    nonce = f"{zlib.crc32(image.encode()):08x}{int(second) % 2**32:08x}"
    name = some.name_after(NOW + timedelta(seconds=second), nonce)
    return Correction(name, image, etag, before, to, who, withdraws)


def put(bucket: Bucket, *corrections: Correction) -> None:
    """As another console does."""
    for one in corrections:
        bucket.put(one.key, to_json(one))


def state(store: CorrectionStore) -> list[tuple[str, str | None, str, int]]:
    return [
        (one.ruling.image, one.ruling.to, one.ruling.who, len(one.differing))
        for one in store.page(CorrectionFilter(), "", 1000)
        if one.ruling
    ]


def test_a_correction_is_in_s3_when_it_is_written(tmp_path: Path) -> None:
    bucket = a_bucket()
    store = CorrectionStore(bucket, tmp_path)
    one = correction(0)
    store.write(one)
    store.write(one)
    stored = bucket.read(one.key)
    assert stored is not None
    assert json.loads(stored.body) == {
        "schema": 1,
        "image": "inbox/a.jpg",
        "etag": "e1",
        "from": "skirt",
        "to": "dress",
        "who": "ann",
        "at": "2026-11-28T12:00:00Z",
        "withdraws": None,
    }
    assert state(store) == [("inbox/a.jpg", "dress", "ann", 0)]
    assert len([*bucket.walk(CORRECTIONS)]) == 1, "sending again is harmless"


def test_a_page_that_sends_again_under_another_identity_stores_nothing_twice(
    tmp_path: Path,
) -> None:
    bucket, one = a_bucket(), correction(0)
    put(bucket, one)
    store = CorrectionStore(bucket, tmp_path)
    store.write(replace(one, who="ann's other role"))
    assert state(store) == [("inbox/a.jpg", "dress", "ann", 0)]
    with pytest.raises(ReviewError, match="There is another correction at"):
        store.write(replace(one, to="coat"))


@pytest.mark.parametrize("changes", [{"to": "x" * 5000}, {"image": "outbox/x"}, {"to": "\ud800"}])
def test_what_cannot_be_stored_is_a_sentence(changes: dict[str, str], tmp_path: Path) -> None:
    store = CorrectionStore(a_bucket(), tmp_path)
    with pytest.raises(ReviewError, match="This cannot be stored"):
        store.write(replace(correction(0), **changes))


def test_what_others_store_is_read_once(tmp_path: Path) -> None:
    reads: list[str] = []
    s3: Any = FakeS3()
    s3.hook = lambda operation, key: reads.append(key) if operation == "GetObject" else None
    bucket = Bucket(s3, "bucket")
    put(bucket, *(correction(second, f"inbox/{second}.jpg") for second in range(1200)))
    store = CorrectionStore(bucket, tmp_path)
    assert store.refresh() == 1200, "more than a page"
    assert len(reads) == len(set(reads)) == 1200
    assert store.refresh() == 0
    store.close()
    again = CorrectionStore(bucket, tmp_path)
    assert again.refresh() == 0
    assert len(reads) == 1200, "the cache outlives the process"
    assert again.totals() == Totals(1200, 0, 0, 0)


def test_a_look_for_what_is_new_lists_the_newest_keys_only(tmp_path: Path) -> None:
    bucket = a_bucket()
    store = CorrectionStore(bucket, tmp_path)
    put(bucket, correction(-7200), correction(0))
    store.refresh()
    put(bucket, correction(-3600, "inbox/late.jpg"), correction(-600, "inbox/slow-clock.jpg"))
    put(bucket, correction(5, "inbox/new.jpg"))
    assert store.refresh(NOW + timedelta(seconds=10)) == 2
    images = [image for image, *_ in state(store)]
    assert images == ["inbox/new.jpg", "inbox/a.jpg", "inbox/slow-clock.jpg"]
    store.refresh()
    assert len(state(store)) == 4, (
        "what came late by more than the clocks differ: the next whole pass"
    )


def test_a_clock_that_is_ahead_hides_nothing(tmp_path: Path) -> None:
    bucket = a_bucket()
    store = CorrectionStore(bucket, tmp_path)
    put(bucket, correction(86_400, "inbox/tomorrow.jpg"))
    store.refresh()
    put(bucket, correction(1, "inbox/now.jpg"))
    assert store.refresh(NOW + timedelta(seconds=2)) == 1


def test_what_somebody_deletes_is_forgotten(tmp_path: Path) -> None:
    bucket = a_bucket()
    store = CorrectionStore(bucket, tmp_path)
    first, second = correction(0), correction(1, to="coat", who="bob")
    last = correction(2, "inbox/z.jpg")
    put(bucket, first, second, last)
    store.refresh()
    assert state(store)[1] == ("inbox/a.jpg", "coat", "bob", 1)
    for one in (second, last):
        bucket.client.delete_object(Bucket="bucket", Key=one.key)
    store.refresh()
    assert state(store) == [("inbox/a.jpg", "dress", "ann", 0)]


def test_what_is_written_while_keys_are_listed_is_not_forgotten(tmp_path: Path) -> None:
    s3: Any = FakeS3()
    bucket = Bucket(s3, "bucket")
    store = CorrectionStore(bucket, tmp_path)
    put(bucket, correction(0))
    store.refresh()
    late = correction(1, "inbox/b.jpg")
    listed = s3.list_objects_v2

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def list_objects_v2(self, **options: Any) -> Any:
            answer = listed(**options)
            store.write(late)
            return answer

    slow: Any = Slow()
    store._bucket = Bucket(slow, "bucket")
    store.refresh()
    assert [image for image, *_ in state(store)] == ["inbox/b.jpg", "inbox/a.jpg"]


def test_objects_that_are_no_corrections_are_passed_over(tmp_path: Path) -> None:
    bucket = a_bucket()
    store = CorrectionStore(bucket, tmp_path)
    good = correction(0)
    put(bucket, good)
    bucket.put(f"{CORRECTIONS}notes.txt", "x")
    bucket.put(correction(1).key, "{}")
    bucket.put(correction(2).key, b"\xff")
    bucket.put(correction(3).key, " " * 100_000)
    assert store.refresh() == 1
    assert store.refresh() == 0
    assert len(state(store)) == 1


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    bucket = a_bucket()
    put(bucket, correction(0))
    (tmp_path / FILE).write_bytes(os.urandom(8192))
    store = CorrectionStore(bucket, tmp_path)
    assert store.refresh() == 1


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(ReviewError, match="cannot be used"):
        CorrectionStore(a_bucket(), tmp_path)


@given(st.lists(some.corrections, max_size=12), st.randoms(use_true_random=False))
def test_the_cache_settles_as_the_rule_does(corrections: list[Correction], random: Any) -> None:
    """Whatever arrives when, and in however many passes."""
    from tempfile import TemporaryDirectory

    unique = {one.name: replace(one, image=f"inbox/{len(one.image) % 2}") for one in corrections}
    corrections = [replace(one, etag="e") for one in unique.values()]
    bucket = a_bucket()
    with TemporaryDirectory() as folder:
        store = CorrectionStore(bucket, Path(folder))
        random.shuffle(corrections)
        for one in corrections:
            put(bucket, one)
            if random.random() < 0.5:
                store.refresh()
        store.refresh()
        for image in ("inbox/0", "inbox/1"):
            expected = settle(one for one in corrections if one.image == image)
            versions = {(image, "e"): expected} if expected.ruling else {}
            assert store.settled([(image, "e")]) == versions
            shown = [
                one for one in store.page(CorrectionFilter(), "", 100)
                if one.ruling and one.ruling.image == image
            ]  # fmt: skip
            assert shown == [*versions.values()]
        assert store.totals().corrected == len(store.page(CorrectionFilter(), "", 100))
        store.close()


def a_store(bucket: Bucket, folder: Path) -> CorrectionStore:
    store = CorrectionStore(bucket, folder)
    put(
        bucket,
        correction(0, "inbox/a.jpg"),
        correction(1, "inbox/b.jpg", "dress"),
        correction(2, "inbox/trip/c.jpg", None),
        correction(3, "inbox/trip/d.jpg", "skirt"),
        correction(4, "inbox/trip/e.jpg", "coat", before=None),
        correction(5, "inbox/trip/e.jpg", "dress", "bob", before=None),
        correction(6, "inbox/trips.jpg", "<script>"),
    )
    store.refresh()
    return store


def test_corrections_are_counted_by_labels(tmp_path: Path) -> None:
    store = a_store(a_bucket(), tmp_path)
    assert store.counts(10) == [
        LabelCount("skirt", "dress", 2),
        LabelCount(None, "dress", 1),
        LabelCount("skirt", None, 1),
        LabelCount("skirt", "<script>", 1),
        LabelCount("skirt", "skirt", 1),
    ]
    assert [count.count for count in store.counts(2)] == [2, 1]
    assert store.totals() == Totals(corrected=6, confirmed=1, none=1, disputed=1)
    assert store.totals().changed == 4
    beyond = [Coverage("inbox/", 4, correction(4).name, "0" * 64)]
    assert store.totals(beyond=beyond).corrected == 2
    assert store.labels() == ["<script>", "dress", "skirt"]


def test_corrections_are_listed_by_pages_and_filters(tmp_path: Path) -> None:
    store = a_store(a_bucket(), tmp_path)

    def images(selection: CorrectionFilter, before: str = "", limit: int = 100) -> list[str]:
        page = store.page(selection, before, limit)
        return [one.ruling.image.rpartition("/")[2] for one in page if one.ruling]

    everything = ["trips.jpg", "e.jpg", "d.jpg", "c.jpg", "b.jpg", "a.jpg"]
    assert images(CorrectionFilter()) == everything
    first = store.page(CorrectionFilter(), "", 4)[-1].ruling
    assert first is not None
    assert images(CorrectionFilter(), first.name) == everything[4:]
    assert images(CorrectionFilter(label="dress")) == ["e.jpg", "b.jpg", "a.jpg"]
    assert images(CorrectionFilter(label="dress", before="skirt")) == ["b.jpg", "a.jpg"]
    assert images(CorrectionFilter(label="")) == ["c.jpg"], "none of the labels"
    assert images(CorrectionFilter(before="")) == ["e.jpg"], "rejected before"
    assert images(CorrectionFilter(who="bob")) == ["e.jpg"]
    assert images(CorrectionFilter(disputed=True)) == ["e.jpg"]
    assert images(CorrectionFilter(folder="inbox/trip/")) == ["e.jpg", "d.jpg", "c.jpg"]


def test_many_threads_may_use_one_store(tmp_path: Path) -> None:
    bucket = a_bucket()
    store, other = CorrectionStore(bucket, tmp_path), CorrectionStore(bucket, tmp_path)

    def write(first: int) -> None:
        for second in range(first, first + 20):
            (store if second % 2 else other).write(correction(second, f"inbox/{second}.jpg"))
            store.refresh(NOW)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.totals().corrected == other.totals().corrected == 60


def photos(bucket: Bucket, *images: str) -> dict[str, str]:
    for image in images:
        bucket.put(image, image.encode())
    etags = {}
    for image in images:
        head = bucket.head(image)
        assert head is not None
        etags[image] = head.listed.etag
    return etags


def test_corrected_images_become_a_folder_for_training(tmp_path: Path) -> None:
    bucket = a_bucket()
    names = ["a.jpg", "b.jpg", "trip/a.jpg", "trip/d.jpg", "trip/e.jpg", "replaced.jpg", "gone.jpg"]
    etags = photos(bucket, *(f"inbox/{name}" for name in names))
    words = [
        correction(second, image, to, etag=etag)
        for second, ((image, etag), to) in enumerate(
            zip(etags.items(), ["dress", "skirt", "dress", None, "and/or", "x", "y"], strict=True)
        )
    ]
    put(bucket, *words, correction(50, "inbox/b.jpg", "coat", "bob", etag=etags["inbox/b.jpg"]))
    bucket.put("inbox/replaced.jpg", b"another")
    bucket.client.delete_object(Bucket="bucket", Key="inbox/gone.jpg")
    store = CorrectionStore(bucket, tmp_path / "cache")
    out = tmp_path / "review"
    counts = fetch_stored(bucket, store, ReviewFilter(), out)
    assert counts == FetchCounts(4, changed=1, missing=1, unlabelled=1, disputed=1)
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files[:3] == [CORRECTIONS_RECORD, "and%2For/e.jpg", "coat/b.jpg"]
    assert (out / "dress/a.jpg").read_bytes() == b"inbox/a.jpg"
    assert len(files) == 5, "the second a.jpg has a name of its own"
    assert [*counts.sentences(out)] == [
        f"Images in {out}: 4.",
        "Left out, because they have changed since they were listed: 1.",
        "Left out, because they are not in the inbox: 1.",
        "Left out, because they show none of the labels: 1.",
        "Corrected differently by several people, the newest label taken: 1.",
    ]
    trip = fetch_stored(bucket, store, ReviewFilter("inbox/trip/"), tmp_path / "trip")
    assert (trip.fetched, trip.unlabelled, trip.disputed) == (2, 1, 0)
    with pytest.raises(ReviewError, match="No image below inbox/camp/ has a correction"):
        fetch_stored(bucket, store, ReviewFilter("inbox/camp/"), tmp_path / "camp")


def test_entries_are_read_in_pieces(tmp_path: Path) -> None:
    bucket = a_bucket()
    put(bucket, *(correction(second, f"inbox/{second % 1500}.jpg", etag=f"e{second // 1500}")
                  for second in range(2100)))  # fmt: skip
    store = CorrectionStore(bucket, tmp_path)
    store.refresh()
    entries = [*store.entries()]
    assert len(entries) == len({(one.image, one.etag) for one in entries}) == 2100


def test_what_is_downloaded_is_recorded_and_what_comes_later_is_new(tmp_path: Path) -> None:
    bucket = a_bucket()
    store = a_store(bucket, tmp_path / "cache")
    fetch_stored(bucket, store, ReviewFilter("inbox/trip/"), tmp_path / "trip")
    fetch_stored(bucket, store, ReviewFilter(), tmp_path / "all")
    trip, whole = (
        parse_coverage(json.loads((tmp_path / name / CORRECTIONS_RECORD).read_bytes()))
        for name in ("trip", "all")
    )
    assert [(one.folder, one.count) for one in (*trip, *whole)] == [
        ("inbox/trip/", 2),
        ("inbox/", 5),
    ]
    assert store.totals(beyond=()).corrected == 6
    assert store.totals(beyond=trip).corrected == 3, "those of other folders"
    assert store.totals(beyond=whole).corrected == 0
    put(bucket, correction(7, "inbox/a.jpg", "coat"), correction(8, "inbox/trip/f.jpg"))
    store.refresh()
    assert store.totals(beyond=whole).corrected == 2, "a new one, and another word about an old one"
    assert merge(trip, whole) == whole, "a folder stands for those in it"
    assert merge(whole, trip) == (*whole, *trip)


def test_a_correction_that_comes_late_with_an_older_name_is_new(tmp_path: Path) -> None:
    bucket = a_bucket()
    store = a_store(bucket, tmp_path)
    covered = store.coverage()
    assert covered is not None
    late = correction(1, "inbox/late.jpg", "coat")
    assert late.name < covered.newest
    put(bucket, late)
    store.refresh()
    assert store.totals(beyond=[covered]).corrected == 1, "no data set holds it"
    unnamed = replace(covered, held="")
    assert store.totals(beyond=[unnamed]).corrected == 0, "of too many, the newest name decides"


def test_a_manifest_names_a_bounded_number_of_corrections() -> None:
    names = [correction(second).name for second in range(5)]
    held = Held(Held.encode(names[:4]))
    assert [name in held for name in names] == [True] * 4 + [False]
    many = Held.encode(map(str, range(MOST_HELD)))
    assert len(many) <= MANIFEST_BYTES / 2, "the manifest has room for more than these"
    assert Held.encode(map(str, range(MOST_HELD + 1))) == ""
    one = Coverage("inbox/a/", 1, names[0], "0" * 64, Held.encode(names[:1]))
    other = Coverage("inbox/b/", MOST_HELD, names[1], "0" * 64, many)
    assert merge([one], [other]) == (replace(one, held=""), other)
    assert merge([], [one]) == (one,)


@pytest.mark.parametrize(
    "rows",
    [
        "inbox/",
        [{}],
        [{"folder": "inbox/", "count": 1, "newest": "x", "digest": "0" * 64}],
        [{"folder": "work/", "count": 1, "newest": correction(1).name, "digest": "0" * 64}],
        [{"folder": "inbox/", "count": "1", "newest": correction(1).name, "digest": "0" * 64}],
        [{"folder": "inbox/", "count": 1, "newest": correction(1).name, "digest": "0" * 64}] * 101,
        *(
            [
                {"folder": "inbox/", "count": 1, "newest": correction(1).name, "digest": "0" * 64}
                | damage
            ]
            for damage in ({"held": "AAAA"}, {"held": "?"}, {"held": 1}, {"left_out": "1"})
        ),
    ],
)
def test_a_damaged_record_is_an_error(rows: object) -> None:
    with pytest.raises(ValueError, match=r"correction|held is"):
        parse_coverage({"corrections": rows})
