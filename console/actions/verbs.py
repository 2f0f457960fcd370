"""What a page may start: commands of `./sortbox`, built from fields that are checked here.

Nothing of a request becomes a word of a command by itself: options are written `--name=value`, and
every other word is a job's name, a queue's, an address of S3 or an absolute path. So no value can
be read as an option, and no shell sees any of them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from console.context import Console
from domain.errors import SortboxError
from domain.instance import DEFAULT_TYPE
from domain.keys import INBOX
from infra.diagnostics.findings import DEAD_LETTERS
from training.config.hyperparameter import flag, parse
from training.config.search_space import parse_range
from training.config.train_config import TrainConfig
from training.launch import limits

JOB = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""SageMaker's pattern for the name of a training job."""

INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]{1,20}\.[a-z0-9-]{1,20}")
S3_ADDRESS = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.{0,1024})?")
REASON_CHARACTERS = 300
KEY_BYTES = 1024
DATA_FOLDER = "data"
"""Below the console's folder: what the last training on corrections was made of."""

Fields = Mapping[str, str]


class FieldError(SortboxError):
    """A field of a form is wrong; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Order:
    """An action that is to be started."""

    verb: str
    title: str
    commands: tuple[tuple[str, ...], ...]
    is_exclusive: bool
    clears: Path | None = None
    """A folder that is emptied first."""


def order_for(console: Console, verb: str, values: Fields) -> Order:
    """Raises FieldError for an unknown verb, and for a value that is none of the field's."""
    if verb not in VERBS:
        raise FieldError(f"There is no action {verb[:40]!r}.")
    return VERBS[verb](console, values)


def _reclassify(console: Console, values: Fields) -> Order:
    prefix = _prefix(values)
    is_dry = _is_set(values, "dry_run")
    words = _words(console, "reclassify", f"--prefix={prefix}", f"--kind={_kind(values)}")
    if is_dry:
        return _order("reclassify", f"Dry run for {prefix}", (*words, "--dry-run"), exclusive=False)
    return _order("reclassify", f"Reclassify {prefix}", (*words, "--yes"))


def _halt(console: Console, values: Fields) -> Order:
    """It changes what runs, and so may be started beside it."""
    words = _words(console, "reclassify", "--stop")
    return _order("halt", "Stop the reclassification", words, exclusive=False)


def _promote(console: Console, values: Fields) -> Order:
    job, reason = _job(values), _line(values, "override", REASON_CHARACTERS)
    words = list(_words(console, "promote", f"--job={job}"))
    words += ["--replace-labels"] if _is_set(values, "replace_labels") else []
    words += [f"--override={reason}"] if reason else []
    return _order("promote", f"Promote {job}", tuple(words))


def _preview(console: Console, values: Fields) -> Order:
    job = _job(values)
    words = _words(console, "preview", f"--job={job}")
    return _order("preview", f"Preview {job}", words, exclusive=False)


def _rollback(console: Console, values: Fields) -> Order:
    return _order("rollback", "Roll back", _words(console, "rollback"))


def _train(console: Console, values: Fields) -> Order:
    data = _data(values)
    return _order("train", f"Train on {data}", training_words(console, "train", data, values))


def _tune(console: Console, values: Fields) -> Order:
    data = _data(values)
    return _order("tune", f"Tune on {data}", training_words(console, "tune", data, values))


def _train_on_corrections(console: Console, values: Fields) -> Order:
    """Corrections are downloaded, joined to the data and trained on. What was there of the time
    before is deleted: a job's data are in S3 once it runs.
    """
    data = _data(values)
    verb = "tune" if _is_set(values, "tune") else "train"
    below = console.folder.absolute() / DATA_FOLDER
    reviewed, joined = str(below / "corrections"), str(below / "joined")
    commands = (
        _words(console, "review", "--corrections", f"--out={reviewed}"),
        _words(console, "join", f"--out={joined}", "--", data, reviewed),
        training_words(console, verb, joined, values),
    )
    return Order("train-corrections", "Train on corrections", commands, True, clears=below)


def _stop(console: Console, values: Fields) -> Order:
    job = _job(values)
    return _order("stop", f"Stop {job}", _words(console, "stop", "--", job), exclusive=False)


def _doctor(console: Console, values: Fields) -> Order:
    return _order("doctor", "Check the stage", _words(console, "doctor"), exclusive=False)


def _redrive(console: Console, values: Fields) -> Order:
    queue = values.get("queue", "")
    if queue not in DEAD_LETTERS:
        raise FieldError(f"There are no dead letters of {queue[:40]!r}.")
    words = _words(console, "redrive", "--", queue)
    return _order("redrive", f"Redrive the dead letters of {queue}", words, exclusive=False)


VERBS: Mapping[str, Callable[[Console, Fields], Order]] = {
    "reclassify": _reclassify,
    "halt": _halt,
    "preview": _preview,
    "promote": _promote,
    "rollback": _rollback,
    "train": _train,
    "tune": _tune,
    "train-corrections": _train_on_corrections,
    "stop": _stop,
    "doctor": _doctor,
    "redrive": _redrive,
}


def training_words(console: Console, verb: str, data: str, values: Fields) -> tuple[str, ...]:
    """The command `train` or `tune`, with the options that differ from their defaults."""
    words = list(_words(console, verb, *hyperparameter_words(values, ranges=verb == "tune")))
    instance_type = values.get("instance_type") or DEFAULT_TYPE
    if not INSTANCE_TYPE.fullmatch(instance_type):
        raise FieldError(f"{instance_type[:40]!r} is no instance type, such as {DEFAULT_TYPE}.")
    words.append(f"--instance-type={instance_type}")
    words.append(f"--max-hours={max_hours(values):g}")
    words += ["--spot"] if _is_set(values, "spot") else []
    words += ["--in-one-job"] if verb == "tune" and _is_set(values, "in_one_job") else []
    return (*words, "--", data)


def hyperparameter_words(values: Fields, ranges: bool) -> list[str]:
    """An empty field is the default. Raises TrainingFailed for a value that training refuses."""
    words = []
    for spec in fields(TrainConfig):
        text = values.get(flag(spec), "").strip()
        if text:
            if not (ranges and parse_range(flag(spec), text)):
                parse(spec, text)
            words.append(f"--{flag(spec)}={text}")
    return words


def max_hours(values: Fields) -> float:
    text = values.get("max_hours", "").strip()
    try:
        hours = float(text) if text else limits.DEFAULT_HOURS
    except ValueError:
        hours = 0.0
    if not limits.SHORTEST_HOURS <= hours <= limits.LONGEST_HOURS:
        shortest, longest = limits.SHORTEST_HOURS, limits.LONGEST_HOURS
        raise FieldError(f"The hours of a job are a number from {shortest:g} to {longest:g}.")
    return hours


def _order(verb: str, title: str, words: tuple[str, ...], exclusive: bool = True) -> Order:
    return Order(verb, title, (words,), exclusive)


def _words(console: Console, command: str, *words: str) -> tuple[str, ...]:
    return (command, f"--stage={console.stage.name}", *words)


def _is_set(values: Fields, name: str) -> bool:
    """A box of a form. A strange value is refused: of a dry run it must not make a real one."""
    if values.get(name, "") not in ("", "on"):
        raise FieldError(f"The field {name} is on, or empty.")
    return values.get(name) == "on"


def _job(values: Fields) -> str:
    job = values.get("job", "")
    if not JOB.fullmatch(job):
        raise FieldError(f"{job[:70]!r} is no name of a job.")
    return job


def _line(values: Fields, name: str, longest: int) -> str:
    text = values.get(name, "").strip()
    if len(text) > longest or not text.isprintable():
        raise FieldError(f"The field {name} is one line of at most {longest} characters.")
    return text


def _prefix(values: Fields) -> str:
    prefix = values.get("prefix", "") or INBOX
    is_key = len(prefix.encode(errors="replace")) <= KEY_BYTES and prefix.isprintable()
    if not prefix.startswith(INBOX) or not is_key:
        raise FieldError(f"A prefix begins with {INBOX}, as {INBOX}trip/ does.")
    return prefix


def _kind(values: Fields) -> str:
    kind = values.get("kind", "") or "renewal"
    if kind not in ("renewal", "unanswered"):
        raise FieldError(f"{kind[:40]!r} is neither renewal nor unanswered.")
    return kind


def _data(values: Fields) -> str:
    """An address of S3 as it is, or an absolute path."""
    text = values.get("data", "").strip()
    if not text:
        raise FieldError("Which data? Name a folder on this machine, or an s3:// address.")
    if text.startswith("s3://") and S3_ADDRESS.fullmatch(text) and text.isprintable():
        return text
    if "\0" not in text and not text.startswith("s3://"):
        folder = Path(text).expanduser().absolute()
        if folder.is_dir():
            return str(folder)
    raise FieldError(f"{text[:200]!r} is no folder on this machine, and no s3:// address.")
