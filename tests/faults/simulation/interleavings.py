"""Every order in which workers, people and crashes can come between one another, for one image.

Workers take messages and are stopped before each of their calls to S3; whoever may go next goes
next, in all ways. A state that was there before is not gone on from again, so the search ends. It
holds all states at once, of a few numbers each.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, TypeVar

from tests.faults.simulation.steps import Answer, Call, Objects, Stored, made, next_call
from tests.faults.simulation.tasks import Send, Take, Task, Then
from tests.support.worlds.acts import Remove, Upload

Act = Upload | Remove


@dataclass(frozen=True, slots=True)
class Worker:
    """`message` comes again if it dies; `answers` are what S3 has said since its round began."""

    message: Task
    task: Task
    answers: tuple[Answer, ...] = ()


class State(NamedTuple):
    """Objects, messages and workers by their numbers; the last three are what is left of them."""

    objects: int
    queued: tuple[int, ...]
    workers: tuple[int, ...]
    acts: int
    crashes: int
    repeats: int


T = TypeVar("T", bound=Hashable)
Step = tuple[int, int | None, int | None]
Check = Callable[[dict[str, Stored]], None]


class Numbers(Generic[T]):
    """A number for each value, and back."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def of(self, value: T) -> int:
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


@dataclass
class Search:
    """`at_rest` is asked of every bucket in which nobody has anything left to do."""

    story: tuple[Act, ...]
    at_rest: Check
    workers: int = 3
    crashes: int = 2
    repeats: int = 1
    seen: dict[State, State | None] = field(default_factory=dict)
    """Each state by the one it came from."""
    rests: int = 0

    def __post_init__(self) -> None:
        self._objects: Numbers[Objects] = Numbers()
        self._tasks: Numbers[Task] = Numbers()
        self._workers: Numbers[Worker] = Numbers()
        self._steps: dict[tuple[int, int], Step] = {}

    def run(self) -> "Search":
        """Raises AssertionError with the shortest way there is to a bucket that is not right."""
        first = State(self._objects.of(()), (), (), 0, self.crashes, self.repeats)
        self.seen[first] = None
        layer = [first]
        while layer:
            for state in layer:
                if not state.queued and not state.workers:
                    self._rest(state)
            layer = [after for state in layer for after in self._new(state)]
        return self

    def _new(self, state: State) -> Iterator[State]:
        for after in self._after(state):
            if after not in self.seen:
                self.seen[after] = state
                yield after

    def _rest(self, state: State) -> None:
        self.rests += 1
        try:
            self.at_rest(dict(self._objects.values[state.objects]))
        except AssertionError as wrong:
            wrong.add_note(self._way_to(state))
            raise

    def _after(self, state: State) -> Iterator[State]:
        if state.acts < len(self.story):
            yield self._acted(state)
        for task in set(state.queued):
            if len(state.workers) < self.workers:
                message = self._tasks.values[task]
                worker = self._workers.of(Worker(message, message))
                yield self._stepped(state._replace(queued=_less(state.queued, task)), worker)
        for worker in set(state.workers):
            left = state._replace(workers=_less(state.workers, worker))
            yield self._stepped(left, worker)
            if state.crashes:
                again = self._tasks.of(self._workers.values[worker].message)
                yield left._replace(crashes=state.crashes - 1, queued=_more(left.queued, again))
        if state.repeats:
            yield from self._repeated(state)

    def _repeated(self, state: State) -> Iterator[State]:
        at_work = [self._tasks.of(self._workers.values[each].message) for each in state.workers]
        for task in {*state.queued, *at_work}:
            yield state._replace(repeats=state.repeats - 1, queued=_more(state.queued, task))

    def _acted(self, state: State) -> State:
        objects, message = _act(self.story[state.acts], self._objects.values[state.objects])
        queued = _more(state.queued, self._tasks.of(message))
        return state._replace(objects=self._objects.of(objects), queued=queued, acts=state.acts + 1)

    def _stepped(self, left: State, worker: int) -> State:
        """The worker's next call is made; `left` are the others."""
        step = (left.objects, worker)
        if step not in self._steps:
            self._steps[step] = self._step(*step)
        objects, after, sent = self._steps[step]
        return left._replace(
            objects=objects,
            workers=left.workers if after is None else _more(left.workers, after),
            queued=left.queued if sent is None else _more(left.queued, sent),
        )

    def _step(self, objects: int, number: int) -> Step:
        """The bucket, the worker where it is not at its end, and a message that it has sent."""
        worker = self._workers.values[number]
        call = next_call(worker.task.work, worker.answers)
        if not isinstance(call, Call):  # without any call it was at its end
            return objects, None, self._sent(call)
        after, answer = made(call, self._objects.values[objects])
        # Whoever makes the call that its task began with has begun a new round, and forgotten all.
        known = () if call == next_call(worker.task.work, ()) else worker.answers
        moved = replace(worker, answers=(*known, answer))
        then = next_call(moved.task.work, moved.answers)
        if isinstance(then, Then):
            moved, then = replace(moved, task=then.task, answers=()), Call("", "")
        is_over = not isinstance(then, Call)
        left = None if is_over else self._workers.of(moved)
        return self._objects.of(after), left, self._sent(then)

    def _sent(self, end: Call | Send | Then | None) -> int | None:
        return self._tasks.of(end.task) if isinstance(end, Send) else None

    def _way_to(self, state: State) -> str:
        way: list[str] = []
        step: State | None = state
        while step is not None:
            way.append(self._told(step))
            step = self.seen[step]
        return "\n".join(reversed(way))

    def _told(self, state: State) -> str:
        objects = {key: each.body[:20] for key, each in self._objects.values[state.objects]}
        workers = [self._workers.values[each] for each in state.workers]
        at = [(type(each.task).__name__, len(each.answers)) for each in workers]
        return f"{objects}, {len(state.queued)} queued, at work {at}, {state.crashes} crashes left"


def _act(act: Act, objects: Objects) -> tuple[Objects, Task]:
    match act:
        case Upload(key, body):
            after, _ = made(Call("put_object", key, (("Body", body),)), objects)
            return after, Take(key, "ObjectCreated:Put")
        case Remove(key):
            after, _ = made(Call("delete_object", key), objects)
            return after, Take(key, "ObjectRemoved:Delete")


def _more(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    return tuple(sorted((*numbers, number)))


def _less(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    at = numbers.index(number)
    return numbers[:at] + numbers[at + 1 :]
