"""The checker sees every kind of wrong answer: one that is blind would praise any product."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import pytest

from tests.faults.cloud.expected import label, may_have_answered
from tests.faults.cloud.traffic import Size, plan
from tests.faults.simulation.checker import Expect, Verdict, check, check_report
from tests.faults.simulation.simulation import Simulation
from tests.faults.simulation.storage import Storage
from tests.faults.simulation.weather import Climate

ONE, TWO = "inbox/1.jpg", "inbox/2.jpg"
IN_FOLDER = "inbox/f0/3.jpg"
CALM = Climate(0, 0, 0)


@cache
def simulated() -> Simulation:
    size = Size(200, 100, folder_objects=30, large=0, promotions=0, poison=0, seconds=600)
    simulation = Simulation(1, plan(Random(1), size), CALM)
    simulation.run()
    return simulation


@dataclass
class Outbox:
    """A bucket in which all is well, to be tampered with."""

    storage: Storage

    def put(self, key: str, body: bytes) -> None:
        self.storage.drop(key, body)

    def answer(self, image: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.storage.objects[_key(image)].body)
        return document

    def say(self, about: str, **other: Any) -> None:
        self.put(_key(about), json.dumps(self.answer(about) | other).encode())

    def swap(self, one: str, other: str, *parts: str) -> None:
        first, second = self.answer(one), self.answer(other)
        self.say(one, **{part: second[part] for part in parts})
        self.say(other, **{part: first[part] for part in parts})

    def edit(self, key: str, before: str, after: str) -> None:
        text = self.storage.objects[key].body.decode()
        assert before in text
        self.put(key, text.replace(before, after, 1).encode())


def _key(image: str) -> str:
    return f"outbox/{image.removeprefix('inbox/')}.json"


def verdict_after(tamper: Callable[[Outbox], object]) -> Verdict:
    simulation = simulated()
    storage = Storage()
    for key, stored in simulation.storage.objects.items():
        storage.objects[key] = stored
    tamper(Outbox(storage))
    s3: Any = storage
    expect = Expect(label, may_have_answered(simulation))
    verdict = check(s3, "bucket", expect, threads=1)
    check_report(s3, "bucket", "f0", verdict)
    return verdict


def test_nothing_is_wrong_where_nothing_was_done() -> None:
    verdict = verdict_after(lambda outbox: None)
    assert verdict.trouble() == {}
    assert verdict.images == verdict.answers > 90
    assert 0 < verdict.rejected < verdict.images


REJECTION = {"status": "rejected", "code": "not_an_image", "message": "It is none."}
OTHER_MODEL = {"name": "pets", "version": 9, "digest": "sha256:0", "container": "sha256:0"}

TAMPERS: dict[str, tuple[str, Callable[[Outbox], object]]] = {
    "an answer is missing": ("lost", lambda o: o.storage.objects.pop(_key(ONE))),
    "a folder's answer is missing": ("lost", lambda o: o.storage.objects.pop(_key(IN_FOLDER))),
    "the image has changed": ("stale", lambda o: o.put(ONE, b"another picture")),
    "it tells another image's name": ("stale", lambda o: o.say(ONE, image=TWO)),
    "a model that was never active": ("stale", lambda o: o.say(ONE, model=OTHER_MODEL)),
    "two labels are swapped": ("mislabelled", lambda o: o.swap(ONE, TWO, "labels")),
    "a wrong label": ("mislabelled", lambda o: o.edit(_key(ONE), '"label": "', '"label": "x')),
    "the whole answers are swapped": ("stale", lambda o: o.swap(ONE, TWO, "image", "labels")),
    "a good image is rejected": ("unjust", lambda o: o.say(ONE, **REJECTION)),
    "the image is gone": ("orphans", lambda o: o.storage.objects.pop(ONE)),
    "an answer to nothing": ("orphans", lambda o: o.put("outbox/ghost.jpg.json", b"{}")),
    "a row is missing": (
        "misreported",
        lambda o: o.edit("outbox/f0/predictions.csv", IN_FOLDER, "inbox/f0/none.jpg"),
    ),
    "a row has another label": (
        "misreported",
        lambda o: o.edit("outbox/f0/predictions.csv", f"{IN_FOLDER},", f"{IN_FOLDER},x"),
    ),
    "a row is by another model": (
        "misreported",
        lambda o: o.edit("outbox/f0/predictions.csv", ",pets:", ",cats:"),
    ),
    "the summary counts otherwise": (
        "misreported",
        lambda o: o.edit("outbox/f0/_summary.json", '"classified": ', '"classified": 1'),
    ),
}


@pytest.mark.parametrize("tamper", TAMPERS)
def test_the_checker_sees_it(tamper: str) -> None:
    kind, act = TAMPERS[tamper]
    assert kind in verdict_after(act).trouble()
