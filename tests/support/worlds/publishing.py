"""Everything that can happen to an image and its answer, a step at a time.

A hypothesis state machine over an in-memory S3. Before any call to S3 a worker may die, another one
may take a message, a person may upload or delete; a failure comes back as its shortest story.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from domain.result import Classified
from tests.support.worlds.acts import (
    Collect,
    Deliver,
    Die,
    History,
    Meanwhile,
    Promote,
    Remove,
    Repeat,
    Rest,
    Step,
    Transform,
    Upload,
    to_json,
)
from tests.support.worlds.collecting import Row, collect
from tests.support.worlds.uploads import World, model, notification, sqs_event, what_is_on

SINGLES = ("inbox/a.jpg",)
IN_FOLDER = ("inbox/trip/a.jpg",)
CONTENTS = (b"cat", b"dog", b"junk")

# Keys do not meet one another: one of each kind leaves the search more room for what does.
keys = st.sampled_from(SINGLES + IN_FOLDER)
contents = st.sampled_from(CONTENTS)
choices = st.integers(-1, 3)


class WorkerDied(Exception):
    """Between two calls: nothing is undone and the message is not deleted."""


changes = st.one_of(st.builds(Upload, keys, contents), st.builds(Remove, keys))
promotions = st.builds(Promote, st.sampled_from(["endpoint", "pointer"]), st.integers(1, 3))
steps = st.one_of(
    changes,
    st.builds(Deliver, choices),
    st.tuples(changes, st.just(Deliver(-1))),
    st.just(Die()),
    st.builds(Collect, choices),
    promotions,
).map(lambda drawn: drawn if isinstance(drawn, tuple) else (drawn,))

meanwhiles = st.dictionaries(st.integers(1, 6), steps, min_size=1, max_size=3)


class Publishing(RuleBasedStateMachine):
    failures = Path(__file__).parents[3] / ".local" / "failures"

    def __init__(self) -> None:
        super().__init__()
        self.history: History = ()
        self.world = World()
        self.messages: list[str] = []
        self.rows: list[Row] = []
        self.world.s3.hook = self.before_call
        self.pending: Meanwhile = {}
        self.calls = 0

    @rule(key=keys, content=contents)
    def upload(self, key: str, content: bytes) -> None:
        self.play(Upload(key, content))

    @rule(key=keys)
    def remove(self, key: str) -> None:
        self.play(Remove(key))

    @rule(choice=choices)
    def repeat_a_message(self, choice: int) -> None:
        self.play(Repeat(choice))

    @rule(choice=choices, meanwhile=meanwhiles, then_rest=st.booleans())
    def deliver(self, choice: int, meanwhile: Meanwhile, then_rest: bool) -> None:
        self.play(Deliver(choice), meanwhile)
        if then_rest:
            self.play(Rest())

    @rule(key=st.sampled_from(IN_FOLDER))
    def transform(self, key: str) -> None:
        self.play(Transform(key))

    @rule(choice=choices, meanwhile=meanwhiles)
    def collect(self, choice: int, meanwhile: Meanwhile) -> None:
        self.play(Collect(choice), meanwhile)
        self.play(Rest())

    @rule(promotion=promotions)
    def promote(self, promotion: Promote) -> None:
        self.play(promotion)

    def play(self, step: Step, meanwhile: Meanwhile | None = None) -> None:
        self.history += ((step, meanwhile or {}),)
        with self.kept(), self.interrupted_by(meanwhile or {}):
            self.take(step)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Hypothesis ends with the shortest history that fails: the last one to be written."""
        try:
            yield
        except AssertionError as wrong:
            self.failures.mkdir(parents=True, exist_ok=True)
            file = self.failures / "publishing.json"
            file.write_text(to_json(self.history))
            wrong.add_note(f"in the cloud: python -m tests.faults.cloud.replay {file}")
            raise

    def come_to_rest(self) -> None:
        self.drain()
        for key in SINGLES:
            self.assert_answered(key)
        for key in IN_FOLDER:
            # A folder's image may still wait for its run; what must not be is an answer to nothing.
            assert self.world.result(key) is None or key in self.world.s3.objects

    def teardown(self) -> None:
        """The promotion ends, everything is looked at: nothing is left of old models."""
        with self.kept():
            self.end()

    def end(self) -> None:
        self.world.active_number = self.world.endpoint.number
        self.messages += [notification(key) for key in SINGLES]
        self.drain()
        self.rows.clear()
        for key in IN_FOLDER:
            self.transform_one(key)
        self.drain()
        for key in SINGLES + IN_FOLDER:
            self.assert_answered(key)
            self.assert_by_the_active_model(key)

    @contextmanager
    def interrupted_by(self, meanwhile: Meanwhile) -> Iterator[None]:
        self.pending, self.calls = dict(meanwhile), 0
        yield
        self.pending = {}

    def before_call(self, operation: str, key: str) -> None:
        self.calls += 1
        for step in self.pending.pop(self.calls, ()):
            if isinstance(step, Die):
                raise WorkerDied
            self.take(step)

    def take(self, step: Step) -> None:
        match step:
            case Upload() | Remove():
                self.change(step)
            case Promote(what, number):
                self.move(what, number)
            case Deliver(choice):
                self.deliver_one(choice)
            case Collect(choice):
                self.collect_one(choice)
            case Transform(key):
                self.transform_one(key)
            case Repeat(choice):
                self.repeat_one(choice)
            case Rest():
                self.come_to_rest()

    def change(self, step: Upload | Remove) -> None:
        if isinstance(step, Upload):
            self.aside(lambda: self.world.put(step.key, step.content))
            self.messages.append(notification(step.key))
        else:
            self.aside(lambda: self.world.remove(step.key))
            self.messages.append(notification(step.key, "ObjectRemoved:Delete"))

    def move(self, what: str, number: int) -> None:
        if what == "endpoint":
            self.world.endpoint.number = number
        else:
            self.world.active_number = number

    def repeat_one(self, choice: int) -> None:
        if self.messages:
            self.messages.append(self.messages[choice % len(self.messages)])

    def aside(self, act: Any) -> None:
        """What people do is not a worker's call: nothing comes in between."""
        hook, self.world.s3.hook = self.world.s3.hook, lambda operation, key: None
        act()
        self.world.s3.hook = hook

    def deliver_one(self, choice: int) -> None:
        if not self.messages:
            return
        message = self.messages.pop(choice % len(self.messages))
        try:
            self.world.uploads().accept(SQSRecord(sqs_event(message)["Records"][0]))
        except WorkerDied:
            self.messages.append(message)
        self.messages += [json.dumps(body) for body in self.world.sent("inbox")]
        self.world.sqs.sent.clear()

    def transform_one(self, key: str) -> None:
        if stored := self.world.s3.objects.get(key):
            self.rows.append(Row(key, stored.etag, stored.body, self.world.active_number))

    def collect_one(self, choice: int) -> None:
        if not self.rows:
            return
        row = self.rows.pop(choice % len(self.rows))
        try:
            collect(self.world.uploads().outbox, row)
        except WorkerDied:
            self.rows.append(row)

    def drain(self) -> None:
        while self.messages:
            self.deliver_one(0)
        while self.rows:
            self.collect_one(0)

    def assert_answered(self, key: str) -> None:
        stored = self.world.s3.objects.get(key)
        result = self.world.result(key)
        if stored is None:
            assert result is None, f"{key} is gone and its answer is not"
            return
        assert result is not None, f"{key} has no answer"
        assert result.image == key
        assert result.source.etag == stored.etag, f"{key} has another image's answer"
        if isinstance(result, Classified):
            assert result.labels[0].label == what_is_on(stored.body)
        else:
            assert stored.body.startswith(b"junk")

    def assert_by_the_active_model(self, key: str) -> None:
        result = self.world.result(key)
        assert result is None or (result.by and result.by.model == model(self.world.active_number))
