"""What people do to a deployed cloud, and how each sees that all of it was done."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from domain.keys import ACTIVE_MODEL, claim_key, debounce_key
from domain.model import ActiveModel, ModelId
from domain.scope import Scope
from functions.active import MAX_AGE_SECONDS
from tests.flow.conftest import Knobs
from tests.flow.support.drive import Cloud, eventually
from tests.support.builders.packed import zipped

LARGE = b"x" * 6_300_000
ODD = "..jpg//x"
"""No job is trusted with such a name."""

numbers = count()


@dataclass(frozen=True)
class Stage:
    """`functions` is a client of Lambda's."""

    cloud: Cloud
    knobs: Knobs
    functions: Any


@dataclass(frozen=True)
class Flow:
    """What a person does, and how it is seen that all of it was done."""

    begin: Callable[[], object]
    is_done: Callable[[], bool]


def single(stage: Stage) -> Flow:
    cloud = stage.cloud
    key = f"inbox/{next(numbers)}.jpg"
    return Flow(lambda: cloud.drop(key, key.encode()), lambda: cloud.answer(key) is not None)


def large_single(stage: Stage) -> Flow:
    cloud = stage.cloud
    key = f"inbox/large-{next(numbers)}.jpg"
    return Flow(lambda: cloud.drop(key, LARGE), lambda: cloud.answer(key) is not None)


def promoted(stage: Stage) -> Flow:
    """The pointer names another model than the one that answers: the answer is looked at again."""
    cloud = stage.cloud
    key = f"inbox/promoted-{next(numbers)}.jpg"
    pointer = cloud.read(ACTIVE_MODEL)
    assert pointer

    def begin() -> None:
        other = replace(
            ActiveModel.from_json(pointer), id=ModelId("other", 2, "sha256:" + "0" * 64)
        )
        cloud.drop(ACTIVE_MODEL, other.to_json().encode())
        time.sleep(MAX_AGE_SECONDS + 0.5)  # processes know the pointer as it was so long ago
        cloud.drop(key, key.encode())

    def is_done() -> bool:
        cloud.drop(ACTIVE_MODEL, pointer)
        return cloud.answer(key) is not None

    return Flow(begin, is_done)


def beating(stage: Stage) -> Flow:
    cloud = stage.cloud
    folder = f"beat{next(numbers)}"
    key = debounce_key(Scope(f"{folder}/").token)
    return Flow(
        lambda: cloud.drop(f"inbox/{folder}/1.jpg", b"1"), lambda: cloud.read(key) is not None
    )


def folder(stage: Stage) -> Flow:
    """By a job and, for the odd name, by the endpoint; at the end the claim is gone."""
    cloud = stage.cloud
    name = f"folder{next(numbers)}"

    def begin() -> None:
        for key in ("1.jpg", ODD, "_READY"):
            cloud.drop(f"inbox/{name}/{key}", f"{name} {key}".encode())

    return Flow(begin, lambda: _is_finished(cloud, name))


def folder_asked_again(stage: Stage) -> Flow:
    """A second marker during the run is sent on when the run ends."""
    cloud = stage.cloud
    name = f"again{next(numbers)}"

    def begin() -> None:
        stage.knobs.set(delay_ms=1500)
        cloud.drop(f"inbox/{name}/1.jpg", name.encode())
        cloud.drop(f"inbox/{name}/_READY")
        eventually(lambda: cloud.status(name), f"a run of {name}")
        cloud.drop(f"inbox/{name}/_READY")

    return Flow(begin, lambda: _is_finished(cloud, name))


def _is_finished(cloud: Cloud, name: str) -> bool:
    status = cloud.status(name)
    is_open = cloud.read(claim_key(Scope(f"{name}/").token)) is not None
    return status is not None and status["state"] == "finished" and not is_open


def archive(stage: Stage) -> Flow:
    """Unpacked into a folder of its name, whose run answers what it held."""
    cloud = stage.cloud
    name = f"packed{next(numbers)}"
    content = zipped({"1.jpg": name.encode()})
    return Flow(
        lambda: cloud.drop(f"inbox/{name}.zip", content),
        lambda: cloud.answer(f"inbox/{name}/1.jpg") is not None,
    )


def clock(stage: Stage) -> Flow:
    """The schedule comes round while a folder's run is open."""
    cloud = stage.cloud
    name = f"clock{next(numbers)}"

    def comes_round() -> bool:
        answer = stage.functions.invoke(FunctionName="sortbox-local-onSchedule", Payload=b"{}")
        return "FunctionError" not in answer

    def begin() -> None:
        stage.knobs.set(delay_ms=5000)
        cloud.drop(f"inbox/{name}/1.jpg", name.encode())
        cloud.drop(f"inbox/{name}/_READY")
        eventually(lambda: cloud.status(name), f"a run of {name}")
        comes_round()
        stage.knobs.set()

    return Flow(begin, comes_round)
