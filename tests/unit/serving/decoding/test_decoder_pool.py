"""Decoder processes: the same pixels, an end to what costs too much, and a new one after it."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from domain.model import Preprocessing
from serving import preprocess
from serving.batcher import QueueFullError
from serving.decoding.decode import decode
from serving.decoding.decoded import CroppedImage
from serving.decoding.decoder_pool import CpuTimeExceededError, DecoderLostError, DecoderPool
from serving.decoding.decoder_process import MAX_MEMORY_BYTES, DecodeOptions
from serving.decoding.thumbnail import make_thumbnail
from serving.decoding.undecodable import UndecodableError
from tests.support.builders import expensive, images

NUMBERS = Preprocessing(32, 24, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
MAX_PIXELS = 50_000_000
LONG = expensive.many_scans(4000, 4000, 25)
"""Within the bounds of its structure, and half a second of work."""

Make = Callable[..., DecoderPool]


OF_OTHERS: set[psutil.Process] = set()
"""Decoders that other tests of this process have left: they are not this test's to look at."""


@pytest.fixture
def make() -> Iterator[Make]:
    OF_OTHERS.clear()
    OF_OTHERS.update(processes_of_decoders())
    made = []

    def make(
        cpu_seconds: float = 60, max_waiting: int = 10, memory_bytes: int = MAX_MEMORY_BYTES
    ) -> DecoderPool:
        work = DecodeOptions(NUMBERS, MAX_PIXELS, cpu_seconds, 0, memory_bytes)
        made.append(DecoderPool(work, processes=1, max_waiting=max_waiting))
        return made[-1]

    yield make
    for decoder in processes_of_decoders():
        with suppress(psutil.NoSuchProcess):
            decoder.resume()  # else a test that fails would wait for ever
    for decoders in made:
        decoders.close()


def processes_of_decoders() -> set[psutil.Process]:
    """Those that were forked by the process that lives on between tests."""
    return {
        child
        for child in psutil.Process().children(recursive=True)
        if child not in OF_OTHERS and child.ppid() != psutil.Process().pid
    }


async def within(seconds: float, match: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := match()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return answer


def ask(answer: Awaitable[CroppedImage]) -> CroppedImage:
    async def once() -> CroppedImage:
        return await answer

    return asyncio.run(once())


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_process_sees_the_same_pixels(form: str, make: Make) -> None:
    body = images.encoded(images.picture(), form)
    here = decode(body, MAX_PIXELS, preprocess.shorter_side(NUMBERS))
    cropped = ask(make().decode_crop(body))
    assert (cropped.width, cropped.height, cropped.format) == (96, 64, form.lower())
    assert np.array_equal(cropped.pixels, preprocess.crop(here.pixels, NUMBERS))


def test_a_thumbnail_is_the_same_to_the_byte(make: Make) -> None:
    body = images.encoded(images.picture())
    cropped = asyncio.run(asyncio.wait_for(make().make_thumbnail(body), 60))
    assert cropped == make_thumbnail(body, MAX_PIXELS)


def test_a_refusal_is_told_and_costs_no_process(make: Make) -> None:
    decoders = make()
    ask(decoders.decode_crop(images.encoded(images.picture())))
    before = processes_of_decoders()
    with pytest.raises(UndecodableError) as refusal:
        ask(decoders.decode_crop(expensive.many_scans(4000, 4000, 1_000)))
    assert refusal.value.code == "too_expensive"
    ask(decoders.decode_crop(images.encoded(images.picture())))
    assert processes_of_decoders() == before


def test_what_uses_its_processor_time_is_ended_and_the_next_file_answered(make: Make) -> None:
    decoders = make(cpu_seconds=0.1)
    for _ in range(2):
        with pytest.raises(CpuTimeExceededError):
            ask(decoders.decode_crop(LONG))
        assert ask(decoders.decode_crop(images.encoded(images.picture()))).width == 96


def test_waiting_for_a_processor_is_not_the_files_fault(make: Make) -> None:
    """Stopped for longer than its processor time, a decoder goes on and answers."""

    async def story() -> CroppedImage:
        decoders = make(cpu_seconds=20)
        answer = asyncio.ensure_future(decoders.decode_crop(LONG))
        (decoder,) = await within(30, processes_of_decoders)
        decoder.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1)
        assert not answer.done()
        decoder.send_signal(signal.SIGCONT)
        return await answer

    assert asyncio.run(story()).width == 4000


def test_processes_that_hang_are_a_stall_until_one_is_done_with(make: Make) -> None:
    async def story() -> None:
        decoders = make(cpu_seconds=20)
        assert not decoders.is_stalled(0)
        answer = asyncio.ensure_future(decoders.decode_crop(LONG))
        (decoder,) = await within(30, processes_of_decoders)
        decoder.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.3)
        assert decoders.is_stalled(0.25)
        decoder.send_signal(signal.SIGCONT)
        await answer
        assert not decoders.is_stalled(0)

    asyncio.run(story())


def test_callers_who_leave_the_queue_do_not_hide_a_stall(make: Make) -> None:
    async def story() -> None:
        decoders = make(cpu_seconds=20)
        running = asyncio.ensure_future(decoders.decode_crop(LONG))
        (decoder,) = await within(30, processes_of_decoders)
        decoder.send_signal(signal.SIGSTOP)
        waiting = asyncio.ensure_future(decoders.decode_crop(LONG))
        await asyncio.sleep(0.3)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert decoders.is_stalled(0.25)
        running.cancel()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("ended_by", "error"),
    [
        (signal.SIGSEGV, UndecodableError),
        (signal.SIGABRT, UndecodableError),
        (signal.SIGKILL, DecoderLostError),
    ],
)
def test_a_crash_is_evidence_and_being_killed_is_not(
    ended_by: int, error: type[Exception], make: Make
) -> None:
    async def story() -> None:
        answer = asyncio.ensure_future(make().decode_crop(LONG))
        (decoder,) = await within(30, processes_of_decoders)
        decoder.send_signal(ended_by)
        await answer

    with pytest.raises(error):
        asyncio.run(story())


def test_nothing_is_decoded_for_a_caller_who_has_gone(make: Make) -> None:
    async def story() -> None:
        decoders = make()
        running, waiting = (asyncio.ensure_future(decoders.decode_crop(LONG)) for _ in range(2))
        (decoder,) = await within(30, processes_of_decoders)
        decoder.suspend()  # so it does not end by being done
        waiting.cancel()
        running.cancel()
        await within(5, lambda: not decoder.is_running())
        assert not processes_of_decoders()
        assert (await decoders.decode_crop(images.encoded(images.picture()))).width == 96

    asyncio.run(story())


def test_who_finds_too_many_waiting_is_told_so_at_once(make: Make) -> None:
    async def story() -> None:
        decoders = make(max_waiting=1)
        taken = [asyncio.ensure_future(decoders.decode_crop(LONG)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await decoders.decode_crop(LONG)
        for body in taken:
            body.cancel()

    asyncio.run(story())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(images.encoded(Image.new("RGB", (65_500, 63)), "JPEG"), id="JPEG"),
        pytest.param(expensive.flat_png(4000, 4000), id="PNG"),
        pytest.param(expensive.flat_png(2000, 4000, 16), id="PNG of 16 bits"),
        pytest.param(images.encoded(Image.new("P", (7000, 7000)), "GIF"), id="GIF"),
        pytest.param(images.encoded(Image.new("RGBA", (3000, 3000)), "WEBP"), id="WebP"),
        pytest.param(expensive.heic_grid(512, 8, 8), id="HEIC"),
    ],
)
def test_a_file_that_needs_too_much_memory_is_refused_and_the_next_one_answered(
    body: bytes, make: Make
) -> None:
    decoders = make(memory_bytes=8 * 2**20)
    with pytest.raises(UndecodableError) as refusal:
        ask(decoders.decode_crop(body))
    assert refusal.value.code in ("too_expensive", "corrupt")  # some decoders do not say why
    assert ask(decoders.decode_crop(images.encoded(images.picture()))).width == 96


def test_a_file_is_judged_alike_whatever_the_decoder_has_seen_before(make: Make) -> None:
    """A decoder that kept what its libraries had freed refused the second or third of these."""
    large = expensive.heic_grid(512, 13, 13)
    decoders = make()
    assert [ask(decoders.decode_crop(large)).width for _ in range(6)] == [6656] * 6


def test_a_decoder_takes_the_next_file_where_nothing_is_left_of_the_one_before(make: Make) -> None:
    decoders, small = make(), images.encoded(images.picture())
    ask(decoders.decode_crop(small))
    statuses = processes_of_decoders()
    ask(decoders.decode_crop(expensive.flat_png(4000, 4000)))
    ask(decoders.decode_crop(small))
    assert processes_of_decoders() == statuses
