"""A folder from its start to its report, over an in-memory bucket and jobs that end when told."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from batch.run import Closed, Waiting, advance, begin, find
from domain.keys import beat_key, fits_manifest
from domain.result import Classified, Rejected
from domain.scope import Scope
from functions.messages import Start
from tests.fake_sagemaker import no_one
from tests.fakes import error
from tests.folders import SMALL, World, with_late
from tests.uploads import what_is_on


@pytest.fixture
def world() -> World:
    return World()


def test_a_folder_is_answered_by_one_job_a_slice_and_reported(world: World) -> None:
    keys = [f"inbox/trip/{number}.jpg" for number in range(10)]
    world.fill(*keys)

    world.run("trip/")

    assert world.answered() == keys
    assert [job.index for job in world.jobs()] == [0, 1]
    assert world.status("trip/")["state"] == "finished"
    assert world.summary("trip/")["classified"] == 10
    assert [row["image"] for row in world.table("trip/")] == keys
    assert world.open_runs() == []
    assert world.endpoint.asked == []


def test_the_first_run_is_a_job_even_for_one_image(world: World) -> None:
    world.fill("inbox/trip/1.jpg")

    world.run("trip/")

    assert len(world.sagemaker.jobs) == 1
    assert world.endpoint.asked == []
    result = world.result("inbox/trip/1.jpg")
    assert result is not None
    assert (result.how.route, result.how.job) == ("batch", next(iter(world.sagemaker.jobs)))


def test_a_few_late_images_go_to_the_endpoint(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    world.fill("inbox/trip/2.jpg", "inbox/trip/3.jpg")

    world.start("trip/")

    assert len(world.sagemaker.jobs) == 1
    assert len(world.endpoint.asked) == 2
    assert len(world.answered()) == 3
    assert world.summary("trip/")["classified"] == 3


def test_many_late_images_are_a_job_again(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    world.fill(*(f"inbox/trip/late-{number}.jpg" for number in range(4)))

    world.run("trip/")

    assert len(world.sagemaker.jobs) == 2
    assert world.endpoint.asked == []
    assert len(world.answered()) == 5


def test_few_late_images_in_a_part_of_a_long_walk_are_not_taken_for_all(world: World) -> None:
    """Four late images, of which at most three may go direct, in slices of one."""
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    world.bounds = replace(SMALL, slice_rows=1)
    world.fill(*(f"inbox/trip/late-{number}.jpg" for number in range(4)))

    world.run("trip/")

    assert len(world.sagemaker.jobs) > 1
    assert len(world.answered()) == 5


def test_no_more_than_two_slices_are_open_at_once() -> None:
    world = World(bounds=replace(SMALL, slice_rows=1))
    world.fill(*(f"inbox/trip/{number}.jpg" for number in range(8)))
    run = begin(world.cloud, Scope("trip/"))
    for _ in range(4):
        # Jobs end one after the other, and no page is answered in the meantime.
        advance(world.cloud, run)
        for name in world.sagemaker.running():
            world.sagemaker.end(name)
    assert len(world.sagemaker.jobs) == 2

    world.drain()
    world.finish_jobs()
    world.tick()
    world.finish_jobs()
    assert len(world.answered()) == 8


STRANGE = [
    "inbox/trip/with space.jpg",
    "inbox/trip/a+b%20.jpg",
    "inbox/trip/ÄÖ 猫 \U0001f600.jpg",
    "inbox/trip/line\nbreak\r.jpg",
    "inbox/trip/../up.jpg",
    "inbox/trip//double.jpg",
    'inbox/trip/"quoted", comma.jpg',
    "inbox/trip/\u2028separator.jpg",
    "inbox/trip/" + "é" * 506 + "x",
    "inbox/trip/empty",
]


def test_strange_keys_are_answered_under_matching_keys(world: World) -> None:
    world.bounds = replace(SMALL, slice_rows=100)
    world.fill(*STRANGE[:-1])
    world.put(STRANGE[-1], b"")

    world.run("trip/")

    assert world.answered() == sorted(STRANGE)
    assert [row["image"] for row in world.table("trip/")] == sorted(STRANGE)
    in_jobs = {key for name in world.sagemaker.jobs for key in world.sagemaker.images(name)}
    assert in_jobs == {key for key in STRANGE[:-1] if fits_manifest(key)}


def test_neighbours_in_name_get_each_its_own_answer(world: World) -> None:
    keys = [
        *("inbox/in/cat", "inbox/in/cat (1).jpg", "inbox/in/a", "inbox/in/a.jpg"),
        *("inbox/in/a.json", "inbox/in/a.out", "inbox/in/a/deeper.jpg", "inbox/in/a.jpg.json"),
    ]
    for bounds in (replace(SMALL, slice_rows=1, page_rows=1), replace(SMALL, slice_rows=100)):
        world = World(bounds=bounds)
        world.fill(*keys)
        world.run("in/")
        labels = {
            key: result.labels[0].label
            for key in keys
            if isinstance(result := world.result(key), Classified)
        }
        assert labels == {key: what_is_on(key.encode()) for key in keys}


def test_two_folders_whose_names_begin_alike_stay_apart(world: World) -> None:
    world.fill("inbox/a/1.jpg", "inbox/ab/1.jpg", "inbox/a.jpg", "inbox/a-b/1.jpg")

    world.run("a/")

    assert world.answered() == ["inbox/a/1.jpg"]
    assert world.summary("a/")["images"] == 1


def test_two_folders_at_once(world: World) -> None:
    world.fill("inbox/one/1.jpg", "inbox/two/1.jpg")
    world.start("one/")
    world.start("two/")
    assert len(world.open_runs()) == 2

    world.finish_jobs()

    assert world.answered() == ["inbox/one/1.jpg", "inbox/two/1.jpg"]
    assert world.open_runs() == []


def test_nested_folders_are_runs_of_their_own_where_the_depth_says_so() -> None:
    world = World(settings=replace(with_late(3), folder_depth=2))
    world.fill("inbox/a/1.jpg", "inbox/a/b/2.jpg", "inbox/a/b/c/3.jpg")

    world.run("a/")
    assert world.answered() == ["inbox/a/1.jpg"]
    world.run("a/b/")
    assert len(world.answered()) == 3


def test_placeholders_and_system_files_are_counted_and_not_classified(world: World) -> None:
    world.fill("inbox/t/1.jpg", "inbox/t/Thumbs.db", "inbox/t/_READY", "inbox/t/.x", "inbox/t/d/")

    world.run("t/")

    assert world.summary("t/")["images"] == 1
    assert world.summary("t/")["ignored"] == 3


def test_what_is_no_image_is_rejected_and_listed(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.put("inbox/trip/2.jpg", b"junk")

    world.run("trip/")

    result = world.result("inbox/trip/2.jpg")
    assert isinstance(result, Rejected)
    assert result.code == "not_an_image"
    assert world.summary("trip/")["codes"] == {"not_an_image": 1}
    assert "inbox/trip/2.jpg" in world.file("trip/", "errors.jsonl")
    assert world.status("trip/")["state"] == "finished"


def test_a_repeated_start_has_one_run_and_one_job(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    world.start("trip/")
    world.start("trip/")
    assert len(world.open_runs()) == 1

    world.finish_jobs()

    assert len(world.sagemaker.jobs) == 1
    assert world.open_runs() == []


def test_ready_and_the_quiet_timer_at_once_have_one_job(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    timer = world.beat("trip/", "0123456789")
    world.send(timer)
    world.send(Start("trip/"))
    world.drain()

    world.finish_jobs()

    assert len(world.sagemaker.jobs) == 1
    assert world.answered() == ["inbox/trip/1.jpg"]


def test_a_timer_whose_folder_lived_on_is_dropped(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    outdated = world.beat("trip/", "0000000001")
    world.beat("trip/", "0000000002")

    world.send(outdated)
    world.drain()

    assert world.open_runs() == []


def test_an_image_that_comes_while_the_run_is_open_is_answered_after_it(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    world.fill("inbox/trip/2.jpg")
    world.send(world.beat("trip/", "0000000002"))
    world.drain()

    assert world.answered() == ["inbox/trip/1.jpg", "inbox/trip/2.jpg"]
    assert world.open_runs() == []


def test_a_start_that_comes_as_the_run_is_closed_is_not_lost(world: World) -> None:
    """Between the finisher's look at the claim and its delete."""
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    asked: list[str] = []

    def ask_while_closing(operation: str, key: str) -> None:
        if operation == "DeleteObject" and "claims" in key and not asked:
            asked.append(key)
            world.fill("inbox/trip/2.jpg")
            begin(world.cloud, Scope("trip/"))

    world.s3.hook = ask_while_closing
    world.changed(job)

    assert asked
    assert world.answered() == ["inbox/trip/1.jpg", "inbox/trip/2.jpg"]
    assert world.open_runs() == []


def test_two_planners_of_one_slice_have_one_plan_and_one_job(world: World) -> None:
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    run = begin(world.cloud, Scope("trip/"))
    raced: list[str] = []

    def plan_too(operation: str, key: str) -> None:
        if operation == "PutObject" and "/slices/" in key and not raced:
            raced.append(key)
            advance(world.cloud, run)

    world.s3.hook = plan_too
    advance(world.cloud, run)

    assert raced
    assert len(world.sagemaker.jobs) == 1
    assert len([key for key in world.s3.objects if "/slices/" in key]) == 1


def test_two_that_start_one_job_at_once_have_one_job(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    run = begin(world.cloud, Scope("trip/"))

    def create_too() -> None:
        world.sagemaker.meanwhile = lambda: None
        advance(world.cloud, run)

    world.sagemaker.meanwhile = create_too

    assert isinstance(advance(world.cloud, run), Waiting)
    assert len(world.sagemaker.jobs) == 1


def test_two_finishers_at_once_leave_one_report(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    raced: list[object] = []

    def finish_too(operation: str, key: str) -> None:
        if operation == "PutObject" and key.endswith("predictions.csv") and not raced:
            raced.append(key)
            run = find(world.cloud, Scope("trip/").token)
            assert run is not None
            raced.append(advance(world.cloud, run))

    world.s3.hook = finish_too
    world.changed(job)

    assert len(raced) == 2
    assert world.open_runs() == []
    assert world.status("trip/")["state"] == "finished"
    assert len(world.table("trip/")) == 1


def test_a_finisher_that_slept_overwrites_nothing_of_the_next_run(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    stale = find(world.cloud, Scope("trip/").token)
    assert stale is not None
    world.sagemaker.end(job)
    world.changed(job)
    world.fill("inbox/trip/2.jpg")
    world.start("trip/")
    before = dict(world.s3.objects)

    assert advance(world.cloud, stale) == Closed()
    told = [key for key in before if key.startswith("outbox/trip/")]
    assert [world.s3.objects[key] for key in told] == [before[key] for key in told]


def test_a_stopped_job_is_taken_to_have_answered_nothing_and_its_images_are_tried_again(
    world: World,
) -> None:
    keys = [f"inbox/trip/{number}.jpg" for number in range(4)]
    world.fill(*keys)
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job, answers=lambda key: "1" in key, status="Stopped")
    world.changed(job)
    assert world.answered() == []

    world.finish_jobs()

    assert world.answered() == keys
    assert [each.attempt for each in world.jobs()] == [1, 2]
    assert world.status("trip/")["state"] == "finished"


def test_a_job_that_failed_with_some_outputs_keeps_them_and_the_rest_is_tried_again(
    world: World,
) -> None:
    keys = [f"inbox/trip/{number}.jpg" for number in range(4)]
    world.fill(*keys)
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job, answers=lambda key: "2" not in key)
    world.changed(job)

    assert world.sagemaker.jobs[job].status == "Failed"
    assert world.answered() == keys
    result = world.result("inbox/trip/2.jpg")
    assert result is not None
    assert (result.how.route, result.how.attempt) == ("endpoint", 2)
    assert world.summary("trip/")["classified"] == 4


def test_a_job_that_answered_nothing_fails_the_run_and_rejects_nobody(world: World) -> None:
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job, answers=no_one)
    world.changed(job)

    assert world.answered() == []
    assert world.open_runs() == []
    assert world.status("trip/")["state"] == "failed"
    assert "ClientError: see the log" in world.status("trip/")["reason"]
    assert world.summary("trip/")["unanswered"] == 2

    world.run("trip/")
    assert len(world.answered()) == 2
    assert world.status("trip/")["state"] == "finished"


def test_a_job_that_sagemaker_refuses_fails_the_run_and_says_why(world: World) -> None:
    def refuse() -> None:
        raise error("CreateTransformJob", 400, "AccessDeniedException")

    world.sagemaker.meanwhile = refuse
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")

    assert world.status("trip/")["state"] == "failed"
    assert "AccessDeniedException" in world.status("trip/")["reason"]
    assert world.answered() == []
    assert world.open_runs() == []


def test_images_that_no_attempt_answers_fail_the_run_with_their_number() -> None:
    world = World(settings=with_late(0))
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    for _ in range(3):
        (job,) = world.sagemaker.running()
        world.sagemaker.end(job, answers=lambda key: "1" in key)
        # A job with nothing at all would fail at once: this one wrote something, only not its own.
        world.sagemaker.write(job, "not asked for", "{}")
        world.changed(job)

    assert world.answered() == ["inbox/trip/1.jpg"]
    assert world.sagemaker.running() == []
    assert world.status("trip/")["state"] == "failed"
    assert world.status("trip/")["reason"] == "no answer after 3 attempts: 1 images"
    assert world.open_runs() == []


def test_an_output_that_is_no_reply_is_trouble_and_no_rejection() -> None:
    world = World(settings=with_late(0))
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job)
    world.sagemaker.write(job, "1.jpg", "<html>oops</html>")
    world.changed(job)
    assert world.answered() == []

    world.finish_jobs()

    assert [each.attempt for each in world.jobs()] == [1, 2]
    assert isinstance(world.result("inbox/trip/1.jpg"), Classified)


def changed_in_content(world: World) -> None:
    world.put("inbox/trip/1.jpg", b"another picture")


def uploaded_again_as_it_was(world: World) -> None:
    world.s3.clock.tick(5)
    world.put("inbox/trip/1.jpg")


@pytest.mark.parametrize("change", [changed_in_content, uploaded_again_as_it_was])
def test_an_image_that_changed_while_transforming_is_answered_as_it_is_now(
    world: World, change: Callable[[World], None]
) -> None:
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    change(world)

    world.changed(job)

    assert len(world.answered()) == 2
    result = world.result("inbox/trip/1.jpg")
    assert isinstance(result, Classified)
    assert result.labels[0].label == what_is_on(world.s3.objects["inbox/trip/1.jpg"].body)
    assert (result.how.route, result.how.attempt) == ("endpoint", 2)


def test_an_image_deleted_while_transforming_leaves_no_result(world: World) -> None:
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    world.remove("inbox/trip/1.jpg")

    world.changed(job)

    assert world.result("inbox/trip/1.jpg") is None
    assert world.summary("trip/")["images"] == 1
    assert world.status("trip/")["state"] == "finished"


def test_without_capacity_the_run_says_so_and_goes_on_with_the_sweeper(world: World) -> None:
    world.sagemaker.capacity = 0
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    assert world.status("trip/")["state"] == "waiting for capacity"

    world.sagemaker.capacity = 1
    world.tick()
    assert world.status("trip/")["state"] == "running"

    world.finish_jobs()
    assert world.status("trip/")["state"] == "finished"


def test_a_lost_page_is_sent_again_after_an_hour_and_not_before(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    run = find(world.cloud, Scope("trip/").token)
    assert run is not None
    advance(world.cloud, run)
    lost = len(world.sqs.sent)
    world.delivered = lost

    world.tick()
    assert world.answered() == []
    world.s3.clock.tick(3601)
    world.tick()

    assert world.answered() == ["inbox/trip/1.jpg"]
    assert world.open_runs() == []


def test_a_late_event_of_a_job_whose_run_is_over_changes_nothing(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    (job,) = world.sagemaker.jobs
    before = dict(world.s3.objects)

    world.changed(job)

    assert world.s3.objects == before


def test_a_single_too_large_for_the_endpoint_is_a_run_of_its_own(world: World) -> None:
    world.put("inbox/big.jpg", b"x" * 6_300_000)

    world.run("big.jpg")

    (job,) = world.sagemaker.jobs.values()
    assert job.request["MaxPayloadInMB"] == 100
    assert world.answered() == ["inbox/big.jpg"]
    assert world.open_runs() == []
    assert [key for key in world.s3.objects if key.startswith("outbox/")] == ["outbox/big.jpg.json"]


def test_sizes_that_a_small_job_cannot_take_are_a_job_of_their_own(world: World) -> None:
    world.bounds = replace(SMALL, slice_rows=100)
    world.fill("inbox/trip/small.jpg")
    world.put("inbox/trip/large.jpg", b"x" * 6_300_000)

    world.run("trip/")

    asked = [job.request for job in world.sagemaker.jobs.values()]
    assert [each["MaxPayloadInMB"] for each in asked] == [6, 100]
    assert "MaxConcurrentTransforms" not in asked[0]
    assert asked[1]["MaxConcurrentTransforms"] == 1
    assert len(world.answered()) == 2


def test_a_large_image_with_an_odd_name_is_rejected_with_what_to_do(world: World) -> None:
    world.put("inbox/trip//odd.jpg", b"x" * 6_300_000)

    world.run("trip/")

    result = world.result("inbox/trip//odd.jpg")
    assert isinstance(result, Rejected)
    assert result.code == "too_large"
    assert "Rename it" in result.message
    assert world.status("trip/")["state"] == "finished"


def test_a_folder_with_nothing_to_do_ends_at_once_and_does_not_start_again(world: World) -> None:
    world.start("trip/")
    assert world.summary("trip/")["images"] == 0
    assert world.open_runs() == []
    assert [body for _, body, _ in world.sqs.sent] == [{"start": {"path": "trip/"}}]


def test_the_timer_that_is_sent_again_is_that_of_the_last_beat(world: World) -> None:
    timer = world.beat("trip/", "0123456789")
    world.cloud.look_later(Scope("trip/"))
    world.cloud.look_later(Scope("big.jpg"))
    again, single = (body for _, body, _ in world.sqs.sent)
    assert again == {"quiet": {"path": timer.path, "nonce": timer.nonce}}
    assert single == {"start": {"path": "big.jpg"}}
    assert beat_key(Scope("trip/").token) in world.s3.objects
