"""Archives are unpacked into folders, a step at a time, whoever dies and whatever comes again."""

import io
import json
import random
import tarfile
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import ClientError

from domain.keys import ARCHIVES, SAME_NAMES, unpacked_key
from domain.result import Rejected
from functions.messages import NextArchive, Unpack, to_json
from functions.runtime import metrics
from tests.support.builders.packed import (
    WHEN,
    add,
    gzipped,
    tarred,
    tarred_with,
    zipped,
    zipped_with,
)
from tests.support.fakes.aws import error, no_hook
from tests.support.worlds.folders import SMALL, World, record
from tests.support.worlds.mortality import Death, MortalQueues, calls_of, mortal
from tests.support.worlds.uploads import sqs_event

PHOTOS = {f"day {n % 2}/{n}.jpg": f"photo {n}".encode() for n in range(7)}
FORMS = {
    "trip.zip": zipped(PHOTOS),
    "trip.tar": tarred(PHOTOS),
    "trip.tar.gz": gzipped(tarred(PHOTOS)),
    "trip.tgz": gzipped(tarred(PHOTOS, tarfile.GNU_FORMAT)),
}
STEPS = replace(SMALL, unpack_entries=2, unpack_seconds=0)
"""Two entries a step."""


def world_with(**archives: bytes) -> World:
    """A world in which these archives were just uploaded."""
    world = World(limits=STEPS)
    for name, content in archives.items():
        drop(world, f"inbox/{name}", content)
    return world


def drop(world: World, key: str, content: bytes) -> None:
    world.put(key, content)
    world.send(Unpack(key))


def unpacked(world: World, folder: str = "trip/") -> dict[str, bytes]:
    prefix = f"inbox/{folder}"
    return {
        key.removeprefix(prefix): stored.body
        for key, stored in world.s3.objects.items()
        if key.startswith(prefix)
    }


def report(world: World, name: str) -> dict[str, Any]:
    return world.read_json(unpacked_key(f"inbox/{name}"))


def rejection(world: World, name: str) -> Rejected:
    result = world.result(f"inbox/{name}")
    assert isinstance(result, Rejected), result
    return result


def live(world: World) -> list[str]:
    return [key for key in world.s3.objects if key.startswith(ARCHIVES)]


@pytest.mark.parametrize("name", FORMS)
def test_an_archive_becomes_a_folder_whose_run_answers_it(name: str) -> None:
    world = world_with(**{name: FORMS[name]})
    world.drain()
    world.finish_jobs()
    assert unpacked(world) == PHOTOS
    assert world.answered() == sorted(f"inbox/trip/{photo}" for photo in PHOTOS)
    assert world.summary("trip/")["classified"] == len(PHOTOS)
    document = report(world, name)
    assert (document["state"], document["folder"]) == ("unpacked", "inbox/trip/")
    assert (document["files"], document["left_out"]) == (len(PHOTOS), 0)
    assert live(world) == []
    assert world.result(f"inbox/{name}") is None


@pytest.mark.parametrize("name", ["trip.zip", "trip.tgz"])
def test_whichever_call_is_a_process_s_last_all_is_unpacked_once(name: str) -> None:
    def story(death: Death) -> World:
        world = world_with(**{name: FORMS[name]})
        world.sqs = MortalQueues(world.sqs.sent, death=death)
        world.s3.hook = world.sagemaker.meanwhile = death
        mortal(death, world.drain, world)
        return world

    for at in range(1, calls_of(story) + 1):
        death = Death(at)
        world = story(death)
        death.at = 0
        world.send(NextArchive(""))
        world.drain()
        world.finish_jobs()
        assert unpacked(world) == PHOTOS, f"died at call {at}"
        assert live(world) == [], f"died at call {at}"
        assert report(world, name)["files"] == len(PHOTOS), f"died at call {at}"
        assert world.answered() == sorted(f"inbox/trip/{photo}" for photo in PHOTOS)
        versions = {stored.metadata["sortbox-member"] for stored in members(world)}
        assert len(versions) == len(PHOTOS), f"died at call {at}"


def members(world: World) -> list[Any]:
    return [stored for key, stored in world.s3.objects.items() if key.startswith("inbox/trip/")]


def test_repeated_and_reordered_messages_unpack_nothing_again() -> None:
    world = world_with(**{"trip.zip": FORMS["trip.zip"]})
    world.drain()
    world.finish_jobs()
    world.remove("inbox/trip/day 0/0.jpg")
    before = dict(world.s3.objects)
    for message in (Unpack("inbox/trip.zip"), NextArchive("inbox/trip.zip"), NextArchive("")):
        world.send(message)
    world.drain()
    assert world.images() == [key for key in sorted(before) if key.startswith("inbox/")]
    assert all(world.s3.objects[key] == before[key] for key in world.images())


def test_throttled_calls_are_made_again() -> None:
    world = world_with(**{"trip.tar.gz": FORMS["trip.tar.gz"]})
    chance = random.Random(5)

    def throttle(operation: str, key: str) -> None:
        if chance.random() < 0.1:
            raise error(operation, 503, "SlowDown")

    world.s3.hook = throttle
    for _ in range(1_000):
        try:
            world.drain()
        except ClientError:  # as SQS delivers what failed again
            world.s3.clock.tick(60)
    world.s3.hook = no_hook
    world.finish_jobs()
    assert unpacked(world) == PHOTOS
    assert world.summary("trip/")["classified"] == len(PHOTOS)


def test_archives_take_turns() -> None:
    world = world_with(**{f"{name}.zip": zipped(PHOTOS) for name in "abc"})
    progress = []
    while world.delivered < len(world.sqs.sent):
        world.deliver()
        progress.append([len(unpacked(world, f"{name}/")) for name in "abc"])
    assert progress[-1] == [len(PHOTOS)] * 3
    assert all(max(counts) - min(counts) <= 4 for counts in progress)


def test_an_archive_that_cannot_be_read_now_does_not_hold_up_others() -> None:
    world = world_with(**{"a.zip": zipped(PHOTOS), "b.zip": zipped(PHOTOS)})

    def fail(operation: str, key: str) -> None:
        if key == "inbox/a.zip" and operation == "GetObject":
            raise error(operation, 500, "InternalError")

    world.s3.hook = fail
    with pytest.raises(ClientError, match="InternalError"):
        world.deliver()
    world.delivered += 1
    attempt = 1
    for _ in range(50):
        _, body, _ = world.sqs.sent[world.delivered]
        try:
            event = sqs_event(json.dumps(body), receives=attempt)["Records"][0]
            world.folders().accept(SQSRecord(event))
            world.delivered, attempt = world.delivered + 1, 1
        except ClientError:
            attempt += 1
        if unpacked(world, "b/") == PHOTOS:
            break
    assert unpacked(world, "b/") == PHOTOS
    world.s3.hook = no_hook
    world.send(Unpack("inbox/a.zip"))
    world.drain()
    assert unpacked(world, "a/") == PHOTOS


def test_an_archive_that_is_replaced_half_way_is_unpacked_anew() -> None:
    world = world_with(**{"trip.zip": zipped(PHOTOS)})
    world.deliver()
    drop(world, "inbox/trip.zip", zipped({**PHOTOS, "day 0/0.jpg": b"another", "8.jpg": b"8"}))
    world.drain()
    assert unpacked(world) == {**PHOTOS, "day 0/0.jpg": b"another", "8.jpg": b"8"}
    assert report(world, "trip.zip")["unchanged"] == 1


@pytest.mark.parametrize("names", [("cat (2).jpg", "cat.jpg"), ("cat.jpg", "cat (2).jpg")])
def test_a_name_that_looks_like_a_twins_is_a_name_of_its_own(names: tuple[str, str]) -> None:
    """`cat (2).jpg` is what Windows and macOS call a copy: it is no second entry of `cat.jpg`."""
    first = {name: f"first {name}".encode() for name in names}
    world = world_with(**{"trip.zip": zipped(first)})
    world.drain()
    second = first | {"cat.jpg": b"edited"}
    drop(world, "inbox/trip.zip", zipped(second))
    world.drain()
    assert unpacked(world) == second


@pytest.mark.parametrize("name", ["trip.tar", "trip.zip"])
def test_the_size_of_an_archive_is_bounded_whatever_it_unpacks_to(name: str) -> None:
    world = World(limits=replace(STEPS, archive_bytes=500))
    drop(world, f"inbox/{name}", FORMS[name])
    world.drain()
    assert "larger than 500 bytes" in rejection(world, name).message


def test_an_archive_that_lost_its_rejection_is_tried_again() -> None:
    """As one that was restored: its rejection is withdrawn, and its report still names it."""
    world = world_with(**{"trip.zip": b"PK, and no archive"})
    world.drain()
    assert rejection(world, "trip.zip")
    world.s3.delete_object(Bucket="bucket", Key="outbox/trip.zip.json")
    world.send(Unpack("inbox/trip.zip"))
    world.drain()
    assert rejection(world, "trip.zip"), "a restored archive would never be looked at again"


def test_uploading_the_same_archive_again_leaves_the_images_as_they_are() -> None:
    world = world_with(**{"trip.zip": zipped(PHOTOS)})
    world.drain()
    before = [stored.version_id for stored in members(world)]
    drop(world, "inbox/trip.zip", zipped(PHOTOS))
    world.drain()
    assert [stored.version_id for stored in members(world)] == before
    assert report(world, "trip.zip")["unchanged"] == len(PHOTOS)


def test_an_archive_that_is_replaced_while_it_is_rejected_is_unpacked() -> None:
    world = world_with(**{"trip.zip": b"no archive"})

    def replace_it(operation: str, key: str) -> None:
        """Once its content is read, and before it is rejected."""
        reads.append(key)
        if reads.count("inbox/trip.zip") >= 3 and key.startswith(ARCHIVES):
            world.s3.hook = no_hook
            world.put("inbox/trip.zip", WHOLE)
            world.folders().accept(record(to_json(Unpack("inbox/trip.zip"))))

    reads: list[str] = []
    world.s3.hook = replace_it
    world.drain()
    assert world.s3.hook is no_hook
    assert unpacked(world) == PHOTOS
    assert report(world, "trip.zip")["state"] == "unpacked"
    assert world.result("inbox/trip.zip") is None


def test_an_archive_that_is_removed_half_way_stops_and_keeps_what_is_unpacked() -> None:
    world = world_with(**{"trip.zip": zipped(PHOTOS)})
    world.deliver()
    world.remove("inbox/trip.zip")
    metrics.clear_metrics()
    world.send(Unpack("inbox/trip.zip"))
    world.drain()
    assert len(unpacked(world)) == 2
    assert report(world, "trip.zip")["state"] == "removed"
    assert not {"ArchiveUnpacked", "ArchiveRejected"} & metrics.metric_set.keys()
    assert live(world) == []


def test_what_people_put_there_stays() -> None:
    world = World(limits=STEPS)
    world.put("inbox/trip/day 0/0.jpg", b"theirs")
    world.put("inbox/trip/day 1/1.jpg", PHOTOS["day 1/1.jpg"])
    drop(world, "inbox/trip.zip", zipped(PHOTOS))
    world.drain()
    assert unpacked(world) == {**PHOTOS, "day 0/0.jpg": b"theirs"}
    document = report(world, "trip.zip")
    assert document["unchanged"] == 1
    assert document["first_left_out"] == [
        {
            "name": "'day 0/0.jpg'",
            "reason": "another file has its name, which did not come from this archive",
        }
    ]


@pytest.mark.parametrize("entries", [2, 100])
def test_entries_of_one_name_are_all_unpacked(entries: int) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number in range(3):
            info = tarfile.TarInfo("cat.jpg")
            info.size = 1
            archive.addfile(info, io.BytesIO(b"%d" % number))
    world = World(limits=replace(STEPS, unpack_entries=entries, heads_at_once=4))
    for _ in range(2):
        drop(world, "inbox/trip.tar", packed.getvalue())
        world.drain()
        names = {"cat.jpg", "cat (2).jpg", "cat (3).jpg"}
        assert unpacked(world).keys() == names
        assert {*unpacked(world).values()} == {b"0", b"1", b"2"}


def test_of_one_name_there_are_as_many_entries_as_have_numbers() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number in range(SAME_NAMES + 2):
            add(archive, "cat.jpg", b"%d" % number)
    world = world_with(**{"trip.tar": packed.getvalue()})
    world.drain()
    assert len(unpacked(world)) == SAME_NAMES
    assert report(world, "trip.tar")["reasons"] == {"20 files with its name are there already": 2}


HOSTILE = ["../up.jpg", "/etc/cat.jpg", "a/../../cat.jpg", "C:/cat.jpg", "C:cat.jpg", "a//b.jpg"]
PASSED_OVER = ["__MACOSX/._1.jpg", ".DS_Store", "a/Thumbs.db", "_READY"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_out_and_hidden_files_are_left_out_and_listed(pack: Any) -> None:
    names = [*HOSTILE, *PASSED_OVER, "more.zip"]
    world = world_with(**{"trip.zip": pack(dict.fromkeys(names, b"x") | {"./1.jpg": b"1"})})
    world.drain()
    assert unpacked(world) == {"1.jpg": b"1"}
    assert [key for key in world.images() if not key.startswith("inbox/trip")] == []
    document = report(world, "trip.zip")
    assert document["left_out"] == len(names)
    assert {item["name"].strip("'") for item in document["first_left_out"]} == {*names}
    assert document["reasons"]["its name is not a safe path"] == len(HOSTILE)
    assert document["reasons"]["an archive within an archive"] == 1


def test_links_and_devices_are_left_out() -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo("1.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        world = world_with(**{"trip.tar": tarred_with(info)})
        world.drain()
        assert unpacked(world) == {"2.jpg": b"2"}
        assert report(world, "trip.tar")["left_out"] == 1


def test_a_link_in_a_zip_is_left_out() -> None:
    info = zipfile.ZipInfo("1.jpg", WHEN)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    world = world_with(**{"trip.zip": zipped_with(info, b"/etc/passwd")})
    world.drain()
    assert unpacked(world) == {"2.jpg": b"2"}
    assert report(world, "trip.zip")["reasons"] == {"a link": 1}


def encrypted(packed: bytes) -> bytes:
    """The first entry says that it is encrypted."""
    at = packed.index(b"PK\1\2")
    return packed[: at + 8] + bytes([packed[at + 8] | 1]) + packed[at + 9 :]


def test_encrypted_members_are_named() -> None:
    world = world_with(**{"trip.zip": encrypted(zipped({"1.jpg": b"1", "2.jpg": b"2"}))})
    world.drain()
    assert unpacked(world) == {"2.jpg": b"2"}
    assert report(world, "trip.zip")["reasons"] == {"encrypted": 1}


def test_an_archive_with_nothing_to_unpack_is_rejected() -> None:
    world = world_with(**{"trip.zip": encrypted(zipped({"1.jpg": b"1"}))})
    world.drain()
    assert rejection(world, "trip.zip").message == (
        "The archive holds no file that can be unpacked (1 times: encrypted)."
    )
    assert report(world, "trip.zip")["state"] == "rejected"
    assert not [url for url, body, _ in world.sqs.sent if "start" in body]


WHOLE = zipped(PHOTOS)
BROKEN = {
    "empty.zip": (b"", "empty"),
    "cut.zip": (WHOLE[: len(WHOLE) // 2], "truncated"),
    "text.zip": (b"this is a text", "truncated"),
    "text.tar": (b"this is a text" * 100, "corrupt"),
    "cut.tar": (FORMS["trip.tar"][:2_000], "truncated"),
    "cut.tgz": (FORMS["trip.tgz"][:-20], "truncated"),
    "text.tgz": (gzipped(b"this is a text" * 100), "corrupt"),
    "seven.zip": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "unsupported_format"),
    "packed.tgz": (b"\xfd7zXZ\0" + bytes(100), "unsupported_format"),
    "no-entries.zip": (zipped({}), "empty"),
    "no-entries.tar": (tarred({}), "empty"),
    "no-entries.tgz": (gzipped(tarred({})), "empty"),
    "nothing.tgz": (gzipped(b""), "empty"),
    "_singles.zip": (WHOLE, "unsupported_format"),
    "__MACOSX.zip": (WHOLE, "unsupported_format"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_archive_is_rejected_with_a_sentence(name: str) -> None:
    content, code = BROKEN[name]
    world = world_with(**{name: content})
    world.drain()
    answer = rejection(world, name)
    assert answer.code == code
    assert answer.message.endswith(".")
    assert report(world, name)["reason"] == answer.message
    assert live(world) == []


def test_what_was_whole_in_a_tar_that_is_cut_short_is_unpacked_and_answered() -> None:
    world = world_with(**{"trip.tar": tarred(PHOTOS, tarfile.GNU_FORMAT)[:3_000]})
    world.drain()
    world.finish_jobs()
    assert len(world.answered()) == 1 + 3
    assert "3 of its files were unpacked" in rejection(world, "trip.tar").message


def test_a_rejection_goes_with_its_archive_or_its_successor() -> None:
    world = world_with(**{"trip.zip": b"no archive"})
    world.drain()
    assert rejection(world, "trip.zip")
    drop(world, "inbox/trip.zip", WHOLE)
    world.drain()
    assert world.result("inbox/trip.zip") is None
    assert unpacked(world) == PHOTOS


def test_a_member_whose_checksum_is_wrong_is_left_out() -> None:
    packed = zipped({"1.jpg": b"first", "2.jpg": b"2"}, zipfile.ZIP_STORED)
    world = world_with(**{"trip.zip": packed.replace(b"first", b"worst")})
    world.drain()
    assert unpacked(world) == {"2.jpg": b"2"}
    assert report(world, "trip.zip")["reasons"] == {"damaged": 1}


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tgz"])
def test_an_archive_that_unpacks_to_far_more_than_it_is_is_rejected(name: str) -> None:
    files = {f"{n}.bmp": bytes(200_000) for n in range(10)}
    world = World(limits=replace(STEPS, archive_slack_bytes=1_000, archive_expansion=10))
    drop(world, f"inbox/{name}", zipped(files) if name.endswith("zip") else gzipped(tarred(files)))
    world.drain()
    assert rejection(world, name).code == "too_large"
    assert len(unpacked(world, "bomb/")) <= 1


@pytest.mark.parametrize("name", ["trip.zip", "trip.tar", "trip.tgz"])
@pytest.mark.parametrize("entry", ["{}.jpg", ".{}", "{}/"], ids=["files", "hidden", "folders"])
def test_an_archive_of_too_many_entries_is_rejected(name: str, entry: str) -> None:
    """Whatever they are: each takes time to read, and the archive holds the lease meanwhile."""
    files = {entry.format(number): b"" for number in range(5)}
    packed = zipped(files) if name.endswith("zip") else tarred(files)
    world = World(limits=replace(STEPS, archive_entries=4))
    drop(world, f"inbox/{name}", gzipped(packed) if name.endswith("gz") else packed)
    world.drain()
    assert "more than 4 entries" in rejection(world, name).message


def test_a_zip_whose_directory_is_too_large_is_rejected() -> None:
    """Names, comments and extra fields may take 196 kB an entry, which are all read."""
    world = World(limits=replace(STEPS, directory_bytes=300))
    drop(world, "inbox/trip.zip", WHOLE)
    world.drain()
    assert "list of entries is larger than 300 bytes" in rejection(world, "trip.zip").message


def test_a_gzip_file_that_is_larger_than_it_may_unpack_to_is_rejected() -> None:
    """It may be of blocks that unpack to nothing, for hours."""
    world = World(limits=replace(STEPS, gzip_bytes=100))
    drop(world, "inbox/trip.tgz", FORMS["trip.tgz"])
    world.drain()
    assert "larger than 100 bytes" in rejection(world, "trip.tgz").message


def test_folders_are_passed_over_a_step_at_a_time() -> None:
    world = World(limits=STEPS)
    drop(world, "inbox/trip.tar", tarred({f"{n}/": b"" for n in range(9)} | {"1.jpg": b"1"}))
    world.deliver()
    assert report(world, "trip.tar")["entries"] == 2
    world.drain()
    assert report(world, "trip.tar")["entries"] == 10
    assert unpacked(world) == {"1.jpg": b"1"}


def test_names_of_an_unknown_encoding_are_counted_in_the_report() -> None:
    content = zipped({"x.jpg": b"1", "ü.jpg": b"2"}).replace(b"x.jpg", b"\x81.jpg")
    world = world_with(**{"trip.zip": content})
    world.drain()
    assert unpacked(world) == {"ü.jpg": b"1", "ü (2).jpg": b"2"}
    assert report(world, "trip.zip")["guessed_names"] == 1


def test_an_archive_that_is_where_files_are_ignored_says_to_rename_it() -> None:
    world = world_with(**{"_singles.zip": WHOLE})
    world.drain()
    assert rejection(world, "_singles.zip").message == (
        "The archive would be unpacked into inbox/_singles/, where files are ignored. Give it "
        "another name."
    )


def test_the_list_of_what_is_left_out_is_bounded() -> None:
    names = {f".{n}": b"" for n in range(1_200)}
    world = World(limits=replace(STEPS, unpack_entries=100))
    drop(world, "inbox/trip.zip", zipped(names | {"1.jpg": b"1"}))
    world.drain()
    document = report(world, "trip.zip")
    assert document["left_out"] == 1_200
    assert len(document["first_left_out"]) == 1_000
    assert len(json.dumps(document)) < 200_000


def test_an_archive_whose_event_was_lost_is_found_by_the_search_for_unanswered_images() -> None:
    world = World(limits=STEPS)
    world.put("inbox/trip.zip", WHOLE)
    world.put("inbox/broken.zip", b"no archive")
    world.sweep("", "unanswered")
    assert unpacked(world) == {}  # it may have an event still
    world.s3.clock.tick(STEPS.grace_seconds + 1)
    world.sweep("", "unanswered")
    world.finish_jobs()
    assert unpacked(world) == PHOTOS
    assert rejection(world, "broken.zip")
    messages = len(world.sqs.sent)
    world.s3.clock.tick(STEPS.grace_seconds + 1)
    world.sweep("", "unanswered")
    assert not [body for _, body, _ in world.sqs.sent[messages:] if "unpack" in body]
