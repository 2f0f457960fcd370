"""What can happen to an image, step by step, as values that can be written down and read again."""

import json
from dataclasses import asdict, dataclass
from typing import Any, get_args


@dataclass(frozen=True)
class Die:
    """A worker, between two calls: nothing is undone and the message is not deleted."""


@dataclass(frozen=True)
class Upload:
    key: str
    content: bytes


@dataclass(frozen=True)
class Remove:
    key: str


@dataclass(frozen=True)
class Deliver:
    """One of the messages that wait; so are a page's rows collected."""

    choice: int


@dataclass(frozen=True)
class Repeat:
    choice: int


@dataclass(frozen=True)
class Transform:
    """A job reads a folder's image."""

    key: str


@dataclass(frozen=True)
class Collect:
    choice: int


@dataclass(frozen=True)
class Promote:
    """The endpoint, or the pointer, moves to another model."""

    what: str
    number: int


@dataclass(frozen=True)
class Rest:
    """Everything is delivered and collected."""


Step = Die | Upload | Remove | Deliver | Repeat | Transform | Collect | Promote | Rest
Meanwhile = dict[int, tuple[Step, ...]]
"""By the number of the call, counted from 1, before which it happens."""

History = tuple[tuple[Step, Meanwhile], ...]
KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Step)}


def to_json(history: History) -> str:
    return json.dumps(
        [
            _written(step) | {"meanwhile": {n: [*map(_written, then)] for n, then in more.items()}}
            for step, more in history
        ],
        indent=1,
    )


def from_json(text: str) -> History:
    """The inverse of `to_json`."""
    return tuple(
        (
            _read(fields),
            {int(n): tuple(map(_read, then)) for n, then in fields.get("meanwhile", {}).items()},
        )
        for fields in json.loads(text)
    )


def _written(step: Step) -> dict[str, Any]:
    about = asdict(step)
    if isinstance(step, Upload):
        about["content"] = step.content.decode()
    return {"step": type(step).__name__, **about}


def _read(fields: dict[str, Any]) -> Step:
    about = {name: value for name, value in fields.items() if name not in ("step", "meanwhile")}
    if "content" in about:
        about["content"] = about["content"].encode()
    step: Step = KINDS[fields["step"]](**about)
    return step
