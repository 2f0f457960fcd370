"""Every key and name has its inverse, over anything that hypothesis can find."""

import hashlib
import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain import keys
from domain.keys import (
    BEATS,
    CLAIMS,
    INBOX,
    KEY_BYTES,
    LONG,
    MANIFEST_KEY_BYTES,
    MODELS,
    OUTBOX,
    RUNS,
    WORK,
    JobName,
    RunKeys,
    claim_key,
    claimed_token,
    debounce_key,
    fits_manifest,
    folder_file,
    image_key,
    result_key,
    run_of,
)
from domain.model import ModelId
from domain.route import Ignored, InFolder, PackedFolder, Ready, Single, route
from domain.scope import Scope
from tests.support.builders import vocabulary as some

FOLDER_FILES = ["_status.json", "_summary.json", "predictions.csv", "errors.jsonl"]
SAGEMAKER_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


@given(some.inbox_keys)
def test_a_results_key_leads_back_to_its_image(key: str) -> None:
    written = result_key(key)
    assert image_key(written) == (None if written.startswith(LONG) else key)


@given(some.inbox_keys)
def test_a_results_key_is_one_that_s3_takes(key: str) -> None:
    assert len(result_key(key).encode()) <= KEY_BYTES
    assert result_key(key).startswith(OUTBOX)


@given(st.integers(990, KEY_BYTES - len(INBOX)), st.sampled_from(["x", "é", "🐈"]))
def test_only_a_key_too_long_for_its_result_goes_under_a_hash(length: int, letter: str) -> None:
    key = (INBOX + letter * length).encode()[:KEY_BYTES].decode(errors="ignore")
    too_long = len(f"{OUTBOX}{key.removeprefix(INBOX)}.json".encode()) > KEY_BYTES
    assert result_key(key).startswith(LONG) == too_long


@given(some.inbox_keys, some.inbox_keys)
def test_two_images_never_share_a_result(one: str, other: str) -> None:
    assume(one != other)
    assert result_key(one) != result_key(other)


@given(some.inbox_keys)
def test_no_image_is_answered_where_ours_is_kept(key: str) -> None:
    """A result under `outbox/_long/` by its own name, or over a folder's report, would be one."""
    match route(key):
        case Single() | InFolder():
            assert image_key(result_key(key)) in (key, None)
            own = {
                folder_file(Scope(path), name) for path in _folders(key) for name in FOLDER_FILES
            }
            assert result_key(key) not in own
        case Ready() | PackedFolder() | Ignored():
            pass


def _folders(key: str) -> list[str]:
    *folders, _ = key.removeprefix(INBOX).split("/")
    return [
        "".join(f"{folder}/" for folder in folders[:depth]) for depth in range(len(folders) + 1)
    ]


@given(some.inbox_keys, st.integers(1, 3))
def test_every_key_has_a_road_and_says_what_it_is_about(key: str, depth: int) -> None:
    match route(key, depth):
        case Single(image):
            assert image == key
            assert "/" not in key.removeprefix(INBOX)
        case InFolder(image, folder):
            assert image == key
            assert key.startswith(INBOX + folder.path)
            assert folder.is_folder
            assert 1 <= folder.path.count("/") <= depth
        case PackedFolder(archive, prefix, folder):
            assert archive == key
            assert key.startswith(prefix.removesuffix("/"))
            match route(f"{prefix}cat.jpg", depth):
                case InFolder(folder=scope):
                    assert scope == folder
                case other:
                    assert isinstance(other, Ignored)
        case Ready(folder):
            assert key.startswith(INBOX + folder.path)
            assert key.endswith("/_READY")
        case Ignored(reason):
            assert reason


@given(some.any_keys)
def test_what_is_outside_the_inbox_takes_no_road(key: str) -> None:
    assume(not key.startswith(INBOX))
    assert isinstance(route(key), Ignored)


@given(some.paths)
def test_nothing_of_ours_takes_a_road(path: str) -> None:
    for prefix in (OUTBOX, MODELS, WORK):
        assert isinstance(route(prefix + path), Ignored)


@given(some.inbox_keys)
def test_a_single_and_a_folder_are_never_one_scope(key: str) -> None:
    match route(key):
        case Single():
            assert not Scope(key.removeprefix(INBOX)).is_folder
        case InFolder(_, folder) | Ready(folder) | PackedFolder(folder=folder):
            assert folder.is_folder
        case Ignored():
            pass


@given(some.paths, some.paths)
def test_two_scopes_never_share_a_token(one: str, other: str) -> None:
    assume(one != other)
    assert Scope(one).token != Scope(other).token


@given(some.paths)
def test_a_token_is_safe_in_keys_and_in_names(path: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,19}-[0-9a-f]{16}", Scope(path).token)


@given(some.paths)
def test_a_claim_leads_back_to_its_token(path: str) -> None:
    token = Scope(path).token
    assert claimed_token(claim_key(token)) == token
    assert claim_key(token).startswith(CLAIMS)
    assert debounce_key(token).startswith(BEATS)


@given(some.paths, some.nonces, st.integers(1, 9), st.integers(0, 999_999), st.integers(0, 9))
def test_everything_a_run_writes_leads_back_to_it(
    path: str, nonce: str, attempt: int, index: int, part: int
) -> None:
    run = RunKeys(Scope(path).token, nonce)
    job = JobName("dev", Scope(path).slug, nonce, attempt, index, part)
    written = [
        run.slice(attempt, index),
        run.plan(attempt, index, nonce) + "pages/0.jsonl",
        run.output(job) + "a.jpg.out",
    ]
    for key in written:
        assert key.startswith(RUNS)
        assert run_of(key) == run
        assert run_of(f"s3://bucket/{key}") == run


@given(some.any_keys)
def test_only_keys_below_the_runs_belong_to_one(key: str) -> None:
    assume(not key.startswith(RUNS))
    assert run_of(key) is None
    assert run_of(f"s3://bucket/{key}") is None


@given(st.lists(st.integers(0, 999_999), min_size=2, max_size=2, unique=True))
def test_slices_sort_as_they_are_numbered(indices: list[int]) -> None:
    run = RunKeys("trip", "0123456789")
    one, other = indices
    assert (run.slice(1, one) < run.slice(1, other)) == (one < other)


@given(some.job_names(some.paths.map(lambda path: Scope(path).slug)))
def test_a_jobs_name_fits_sagemaker_and_is_read_back(job: JobName) -> None:
    assert len(str(job)) <= 63
    assert re.fullmatch(SAGEMAKER_NAME, str(job))
    assert JobName.parse(str(job)) == job


@given(st.from_regex(r"sortbox-[\w-]{1,60}", fullmatch=True))
def test_a_name_is_a_jobs_only_if_a_job_would_have_it(name: str) -> None:
    try:
        job = JobName.parse(name)
    except ValueError:
        return
    assert str(job) == name


@pytest.mark.parametrize(
    "name",
    [
        "sortbox-dev-trip-0123456789-1-00-0",
        "sortbox-dev-trip-0123456789-1-٣-0",
        "sortbox-dev-trip-0123456789-1-0",
        "sortbox-production-trip-0123456789-1-0-0",
        "sortbox-ninelettr-trip-0123456789-1-0-0",
        "sortbox--trip-0123456789-1-0-0",
        "sortbox-dev-trip-0123456789-1-0-0\n",
        "another-job",
    ],
)
def test_a_name_that_no_job_has_is_none_of_ours(name: str) -> None:
    with pytest.raises(ValueError, match="not a Sortbox job name"):
        JobName.parse(name)


@given(some.any_keys)
def test_a_manifest_takes_only_short_plain_keys(key: str) -> None:
    if fits_manifest(key):
        assert len(key.encode()) <= 800
        assert "\n" not in key
        assert not {"", ".", ".."} & set(key.split("/"))


@pytest.mark.parametrize(
    "key", ["inbox/cat (1).jpg", "inbox/trip/été.jpg", "inbox/a%2Bb+c.jpg", "inbox/X/X.X"]
)
def test_ordinary_names_fit_a_manifest(key: str) -> None:
    assert fits_manifest(key)


@pytest.mark.parametrize(
    "key",
    [
        "inbox/.git/a.jpg",
        "inbox/_singles/a.jpg",
        "inbox/_review/day/a.jpg",
        "inbox/trip/.thumbnails/a.jpg",
        "inbox/trip/day 1/__MACOSX/a.jpg",
        "inbox/.trip/_READY",
        "inbox/_long/_READY",
        "inbox/trip/.hidden/_READY",
    ],
)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_nothing_in_a_hidden_or_own_folder_takes_a_road(key: str, depth: int) -> None:
    assert isinstance(route(key, depth), Ignored), (
        "Previews and repositories that lie beside the photographs would be classified and billed; "
        "results of our own folders' names would lie among files about folders."
    )


@pytest.mark.parametrize(
    "key",
    [
        "inbox/_MG_1234.JPG",
        "inbox/_1040123.JPG",
        "inbox/shoot/_DSC0042.JPG",
        "inbox/_shoot/a.jpg",
        "inbox/_background_/day/_review/_IMG.jpg",
        "inbox/_report.jpg",
    ],
)
def test_a_leading_underscore_hides_nothing(key: str) -> None:
    assert isinstance(route(key), Single | InFolder)


@pytest.mark.parametrize(
    ("key", "prefix", "folder"),
    [
        ("inbox/trip.zip", "inbox/trip/", "trip/"),
        ("inbox/Trip 1.TAR.GZ", "inbox/Trip 1/", "Trip 1/"),
        ("inbox/a.b.tgz", "inbox/a.b/", "a.b/"),
        ("inbox/trip/day.tar", "inbox/trip/day/", "trip/"),
        ("inbox/trip/zip.zip.zip", "inbox/trip/zip.zip/", "trip/"),
    ],
)
def test_an_archive_is_unpacked_into_a_folder_of_its_name(
    key: str, prefix: str, folder: str
) -> None:
    assert route(key) == PackedFolder(key, prefix, Scope(folder))


@pytest.mark.parametrize("key", ["inbox/zip", "inbox/a.zip.jpg", "inbox/a.tar.xz", "inbox/a.gz"])
def test_other_names_are_no_archive_s(key: str) -> None:
    assert route(key) == Single(key)


@pytest.mark.parametrize("folder", ["..", "...", "trip."])
def test_dots_alone_hide_nothing(folder: str) -> None:
    assert isinstance(route(f"inbox/{folder}/a.jpg"), InFolder)


SHA = "sha256:" + "5" * 64
PETS = ModelId("pets", 7, SHA)
RUN = RunKeys("trip-0123", "0123456789")
JOB = JobName("dev", "trip", "0123456789", 2, 13, 1)
LONG_PATH = "t/" * 510
HASHED_NAME = hashlib.sha256("inbox/é.jpg".encode()).hexdigest()
HASHED_LONG_NAME = hashlib.sha256(f"inbox/{LONG_PATH}a.jpg".encode()).hexdigest()
HASHED = hashlib.sha256(f"inbox/{LONG_PATH}".encode()).hexdigest()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (keys.archive_key(PETS), f"models/pets/{'5' * 64}/model.tar.gz"),
        (keys.evaluation_key(PETS), f"models/pets/{'5' * 64}/evaluation.json"),
        (keys.dataset_prefix(SHA), f"training/data/{'5' * 64}/"),
        (keys.weights_key("55", "resnet50.pth"), "training/weights/55/resnet50.pth"),
        (keys.checkpoints_prefix("run"), "training/checkpoints/run"),
        (keys.TRAINING_JOBS, "training/jobs"),
        (keys.ACTIVE_MODEL, "models/active.json"),
        (result_key("inbox/trip/a.jpg"), "outbox/trip/a.jpg.json"),
        (result_key(f"inbox/{LONG_PATH}a.jpg"), f"outbox/_long/{HASHED_LONG_NAME}.json"),
        (folder_file(Scope("trip/"), "_status.json"), "outbox/trip/_status.json"),
        (folder_file(Scope(LONG_PATH), "_status.json"), f"outbox/_long/{HASHED}/_status.json"),
        (claim_key("trip-0123"), "work/claims/trip-0123.json"),
        (keys.waiting_key("trip-0123"), "work/beats/trip-0123.waiting"),
        (keys.slot_key(7), "work/slots/007.json"),
        (keys.timeouts_key("inbox/é.jpg"), f"work/timeouts/{HASHED_NAME}.json"),
        (RUN.closing, "work/runs/trip-0123/0123456789/closing.json"),
        (RUN.companion, "work/runs/trip-0123/0123456789/companion.png"),
        (RUN.last_companion, "work/runs/trip-0123/0123456789/last/companion.png"),
        (RUN.part("table-"), "work/runs/trip-0123/0123456789/report/table-"),
        (debounce_key("trip-0123"), "work/beats/trip-0123.json"),
        (RUN.prefix, "work/runs/trip-0123/0123456789/"),
        (RUN.slice(2, 13), "work/runs/trip-0123/0123456789/slices/2/000013.json"),
        (RUN.slices(2), "work/runs/trip-0123/0123456789/slices/2/"),
        (RUN.plan(2, 13, "ab"), "work/runs/trip-0123/0123456789/plans/2-000013-ab/"),
        (RUN.progress(2, 13), "work/runs/trip-0123/0123456789/progress/2-000013/"),
        (RUN.output(JOB), "work/runs/trip-0123/0123456789/output/2-000013-1/"),
        (str(JOB), "sortbox-dev-trip-0123456789-2-13-1"),
        (
            keys.reclassification_file("2026-01-02T03:04:05+00:00", "ab", "_status.json"),
            "outbox/_reclassify/20260102030405-ab/_status.json",
        ),
    ],
)
def test_keys_stay_what_they_are(key: str, expected: str) -> None:
    """People's scripts, policies, lifecycle rules and what earlier versions wrote rely on them."""
    assert key == expected


@pytest.mark.parametrize(("longer", "is_hashed"), [(0, False), (1, True)])
def test_a_folders_file_of_1024_bytes_keeps_its_name(longer: int, is_hashed: bool) -> None:
    path = "t" * (KEY_BYTES - len(f"{OUTBOX}/_status.json") + longer) + "/"
    assert folder_file(Scope(path), "_status.json").startswith(LONG) == is_hashed


@pytest.mark.parametrize("token", ["trip-0123456789abcdef", "sweep", "a-b-c"])
def test_a_ticket_tells_whose_it_is_and_since_when(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its key alone, in UTC and in the order of time, whatever the zone of who wrote it."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    since = datetime(2026, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=2)))
    key = keys.ticket_key(since, token)
    assert key == f"work/tickets/20260102T010405.000006-{token}.json"
    assert keys.ticket_token(key) == token
    assert keys.ticket_since(key) == since
    assert key < keys.ticket_key(since.astimezone(UTC) + timedelta(microseconds=1), "a")
    monkeypatch.undo()
    time.tzset()


@given(some.inbox_keys)
def test_a_large_singles_marker_leads_back_to_it(key: str) -> None:
    assert keys.large_image(keys.large_key(key)) == key
    assert keys.large_key("inbox/a.tif") == f"{keys.LARGE_MARKERS}a.tif"


def test_what_a_sweep_left_for_a_table_leads_back_to_the_sweep() -> None:
    trip = Scope("trip/")
    key = keys.reclassified_key(trip, "0123456789", 13)
    assert key == f"work/renewed/{trip.token}/0123456789-000013.jsonl"
    assert key.startswith(keys.reclassified_prefix(trip))
    assert keys.reclassification_of(key) == "0123456789"


@pytest.mark.parametrize("more", ["", "é", "🐈"])
def test_a_key_of_800_bytes_fits_a_manifest_and_one_byte_more_does_not(more: str) -> None:
    key = "inbox/" + more
    key += "x" * (MANIFEST_KEY_BYTES - len(key.encode()))
    assert fits_manifest(key)
    assert not fits_manifest(f"{key}x")


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "a\u2028b", "a//b", "../a", "a/./b", "a/..."])
def test_what_a_job_might_rewrite_does_not_fit_a_manifest(name: str) -> None:
    assert not fits_manifest(f"inbox/{name}")


@pytest.mark.parametrize(
    "key",
    [
        "s3://bucket/a/work/runs/trip/0123456789/x",
        "a/work/runs/trip/0123456789/x",
        "http://bucket/work/runs/trip/0123456789/x",
        "s3://bucket/work/runs/trip/0123456789",
        "s3://bucket/work/runs//0123456789/x",
        "work/runs/trip",
    ],
)
def test_what_is_no_key_of_a_run_is_nobodys(key: str) -> None:
    assert run_of(key) is None


@pytest.mark.parametrize(
    "key",
    ["outbox/_long/0123.json", "outbox/a.jpg", "inbox/a.jpg.json", "models/active.json", "a.json"],
)
def test_what_is_no_result_of_an_image_names_none(key: str) -> None:
    assert image_key(key) is None


@pytest.mark.parametrize(
    ("folder", "prefix"),
    [
        ("", "inbox/"),
        ("trip", "inbox/trip/"),
        ("trip/", "inbox/trip/"),
        ("inbox/a/b", "inbox/a/b/"),
    ],
)
def test_a_folder_is_named_as_a_person_does(folder: str, prefix: str) -> None:
    assert keys.folder_prefix(folder) == prefix
